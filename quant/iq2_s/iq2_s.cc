#include "quant/iq2_s/iq2_s.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ2_S::Block& out) {
  out.d = Half::FromFloat(choice.d);
  for (size_t i = 0; i < 32; ++i) {
    out.qs[i] = static_cast<uint8_t>(choice.points[i]);
    out.signs[i] = choice.signs[i];
    out.qh[i / 4] = static_cast<uint8_t>(out.qh[i / 4] | choice.points[i] >> 8 << (2 * (i % 4)));
  }
  for (size_t k = 0; k < 16; ++k) {
    out.scales[k / 2] = static_cast<uint8_t>(out.scales[k / 2] | choice.scales[k] << (4 * (k % 2)));
  }
}

}  // namespace

void IQ2_S::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq2SGrid,
                                     {CellSigns::kEight, IQ2_S::kGroup, 16, IQ2_S::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant

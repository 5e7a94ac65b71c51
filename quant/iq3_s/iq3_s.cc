#include "quant/iq3_s/iq3_s.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ3_S::Block& out) {
  out.d = Half::FromFloat(choice.d);
  for (size_t i = 0; i < 64; ++i) {
    out.qs[i] = static_cast<uint8_t>(choice.points[i]);
    out.qh[i / 8] = static_cast<uint8_t>(out.qh[i / 8] | choice.points[i] >> 8 << (i % 8));
  }
  for (size_t i = 0; i < 32; ++i) out.signs[i] = choice.signs[i];
  for (size_t k = 0; k < 8; ++k) {
    out.scales[k / 2] = static_cast<uint8_t>(out.scales[k / 2] | choice.scales[k] << (4 * (k % 2)));
  }
}

}  // namespace

void IQ3_S::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq3SGrid,
                                     {CellSigns::kEight, IQ3_S::kGroup, 16, IQ3_S::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant

#include "quant/iq1_m/iq1_m.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ1_M::Block& out) {
  for (size_t i = 0; i < 32; ++i) {
    out.qs[i] = static_cast<uint8_t>(choice.points[i]);
    const int high = choice.points[i] >> 8 | choice.signs[i] << 3;
    out.qh[i / 2] = static_cast<uint8_t>(out.qh[i / 2] | high << (4 * (i % 2)));
  }
  for (size_t k = 0; k < 4; ++k) {
    uint16_t four = 0;
    for (size_t j = 0; j < 4; ++j) {
      four = static_cast<uint16_t>(four | choice.scales[4 * k + j] << (3 * j));
    }
    std::memcpy(out.scales + 2 * k, &four, sizeof(four));
  }
  IQ1_M::SetFactor(Half::FromFloat(choice.d), out);
}

}  // namespace

void IQ1_M::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq1Grid, {CellSigns::kShift, IQ1_M::kGroup, 8, IQ1_M::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant

#include "quant/iq1_s/iq1_s.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ1_S::Block& out) {
  out.d = Half::FromFloat(choice.d);
  for (size_t g = 0; g < 8; ++g) {
    auto high = static_cast<uint16_t>(choice.scales[g] << 12 | choice.signs[4 * g] << 15);
    for (size_t i = 0; i < 4; ++i) {
      const uint16_t point = choice.points[4 * g + i];
      out.qs[4 * g + i] = static_cast<uint8_t>(point);
      high = static_cast<uint16_t>(high | point >> 8 << (3 * i));
    }
    std::memcpy(out.qh + 2 * g, &high, sizeof(high));
  }
}

}  // namespace

void IQ1_S::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq1Grid,
                                     {CellSigns::kGroupShift, IQ1_S::kGroup, 8, IQ1_S::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant

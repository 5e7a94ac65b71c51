#include "quant/iq2_xxs/iq2_xxs.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ2_XXS::Block& out) {
  out.d = Half::FromFloat(choice.d);
  for (size_t g = 0; g < 8; ++g) {
    uint8_t* q = out.qs + 8 * g;
    uint32_t rest = uint32_t{choice.scales[g]} << 28;
    for (size_t i = 0; i < 4; ++i) {
      q[i] = static_cast<uint8_t>(choice.points[4 * g + i]);
      rest |= (choice.signs[4 * g + i] & 127u) << (7 * i);
    }
    std::memcpy(q + 4, &rest, sizeof(rest));
  }
}

}  // namespace

void IQ2_XXS::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq2XxsGrid,
                                     {CellSigns::kEven, IQ2_XXS::kGroup, 16, IQ2_XXS::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant

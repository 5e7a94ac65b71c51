#include "quant/iq3_xxs/iq3_xxs.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ3_XXS::Block& out) {
  out.d = Half::FromFloat(choice.d);
  for (size_t i = 0; i < 64; ++i) out.qs[i] = static_cast<uint8_t>(choice.points[i]);
  for (size_t g = 0; g < 8; ++g) {
    uint32_t rest = uint32_t{choice.scales[g]} << 28;
    for (size_t i = 0; i < 4; ++i) rest |= (choice.signs[4 * g + i] & 127u) << (7 * i);
    std::memcpy(out.signs + 4 * g, &rest, sizeof(rest));
  }
}

}  // namespace

void IQ3_XXS::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq3XxsGrid,
                                     {CellSigns::kEven, IQ3_XXS::kGroup, 16, IQ3_XXS::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant

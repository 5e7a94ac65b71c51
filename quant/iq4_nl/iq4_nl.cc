#include "quant/iq4_nl/iq4_nl.h"

#include <algorithm>

#include "quant/importance.h"
#include "quant/pack.h"
#include "quant/search_iq4.h"

namespace crossover::quant {

void IQ4_NL::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  uint8_t codes[32];
  UnpackNibbles(block.qs, codes);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(kIq4Levels[codes[i]]);
}

void IQ4_NL::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  constexpr size_t kGroup = kLanes * kBlockWeights;
  for (size_t begin = 0; begin < row.size(); begin += kGroup) {
    const size_t count = std::min(kGroup, row.size() - begin);
    float x[kGroup] = {};
    float weights[kGroup] = {};
    std::ranges::copy(row.subspan(begin, count), x);
    SquareWeights(x, weights);
    if (importance != nullptr) {
      for (size_t i = 0; i < count; i += kBlockWeights) {
        const std::span<const float> block(x + i, kBlockWeights);
        ImportanceWeights(block, importance + begin + i, 2.0f * MeanSquare(block), weights + i);
      }
    }
    const Lanes scale =
        SearchIq4(LoadLanes<Lanes, kBlockWeights>(x), LoadLanes<Lanes, kBlockWeights>(weights));
    for (size_t s = 0; s * kBlockWeights < count; ++s, ++out) {
      uint8_t codes[kBlockWeights];
      Iq4Codes(x + s * kBlockWeights, scale[s], codes);
      out->d = Half::FromFloat(scale[s]);
      PackNibbles(codes, out->qs);
    }
  }
}

}  // namespace crossover::quant

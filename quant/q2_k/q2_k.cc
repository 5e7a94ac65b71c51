#include "quant/q2_k/q2_k.h"

#include <cmath>

#include "quant/pack.h"
#include "quant/superblock.h"

namespace crossover::quant {
namespace {

constexpr size_t kLength = 16;  // of a sub-block
// The absolute error: with four levels, squares would let a few large weights take the grid.
constexpr AffineRule kRule{3.0f, 15.0f, {-0.5f, 0.1f, 15, false}, 1.0f};

}  // namespace

void Q2_K::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  const float dmin = block.dmin.ToFloat();
  for (size_t e = 0; e < kBlockWeights; ++e) {
    const uint8_t scale = block.scales[e / kLength];
    out[e] = d * static_cast<float>(scale & 15) * static_cast<float>(TwoBits(block.qs, e)) -
             dmin * static_cast<float>(scale >> 4);
  }
}

void Q2_K::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  float weights[kBlockWeights];
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlockWeights);
    if (importance != nullptr) {
      ImportanceWeights(x, importance + begin, kRule.importance_variance * MeanSquare(x), weights);
    } else {
      for (size_t i = 0; i < kBlockWeights; ++i) weights[i] = std::abs(x[i]);
    }
    const auto block = EncodeAffine<kLength>(x.data(), weights, importance != nullptr, kRule);
    out->d = block.d;
    out->dmin = block.dmin;
    for (size_t k = 0; k < decltype(block)::kSubBlocks; ++k) {
      out->scales[k] = static_cast<uint8_t>(block.scales[k] | block.mins[k] << 4);
    }
    PackTwoBits(block.codes.data(), 0, out->qs);
  }
}

}  // namespace crossover::quant

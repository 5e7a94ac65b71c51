#include "quant/q1_0/q1_0.h"

#include <cmath>

namespace crossover::quant {

void Q1_0::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    // The mean magnitude is what leaves the least error, weighted or not.
    float sum = 0.0f;
    float weights = 0.0f;
    *out = {};
    for (size_t i = 0; i < kBlockWeights; ++i) {
      const float x = row[begin + i];
      const float weight = importance == nullptr ? 1.0f : importance[begin + i];
      sum += weight * std::abs(x);
      weights += weight;
      if (x >= 0.0f) out->qs[i / 8] = static_cast<uint8_t>(out->qs[i / 8] | 1u << (i % 8));
    }
    out->d = Half::FromFloat(weights > 0.0f ? sum / weights : 0.0f);
  }
}

}  // namespace crossover::quant

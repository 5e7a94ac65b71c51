// What TQ1_0 and TQ2_0 share: 256 weights of three values, -d, 0 and d, as codes 0, 1 and 2.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quant/importance.h"
#include "quant/lanes.h"
#include "quant/superblock.h"

namespace crossover::quant {

/// The codes nearest to x / d.
inline void TernaryCodes(std::span<const float> x, float d, uint8_t* codes) {
  const float inverse = Reciprocal(d);
  for (size_t i = 0; i < x.size(); ++i) {
    codes[i] = static_cast<uint8_t>(std::round(Clamp(x[i] * inverse, -1.0f, 1.0f)) + 1.0f);
  }
}

/// The d and its codes of least weighted error, from several of the largest magnitude's fractions:
/// for given codes the best d is a quotient of sums, and for a given d the best codes are the
/// nearest.
inline float SearchTernary(std::span<const float> x, const float* weights, float largest,
                           uint8_t* codes) {
  constexpr int kTries = 16;
  constexpr int kRounds = 4;
  float best = largest;
  float most = -1.0f;  // of what a choice takes from the error
  for (int i = 1; i <= kTries; ++i) {
    float d = largest * static_cast<float>(i) / kTries;
    for (int round = 0; round < kRounds; ++round) {
      TernaryCodes(x, d, codes);
      float products = 0.0f, squares = 0.0f;
      for (size_t k = 0; k < x.size(); ++k) {
        const float code = static_cast<float>(codes[k]) - 1.0f;
        products += weights[k] * x[k] * code;
        squares += weights[k] * code * code;
      }
      if (!(squares > 0.0f)) break;
      const float gain = products * products / squares;
      d = products / squares;
      if (gain > most) {
        most = gain;
        best = d;
      }
    }
  }
  TernaryCodes(x, best, codes);
  return best;
}

/// Calls f(d, codes) for each block. Without importance d is the largest magnitude, which is exact
/// for models that were trained on three values.
template <class F>
void ForEachTernaryBlock(std::span<const float> row, const float* importance, F&& f) {
  float weights[kSuperBlock];
  uint8_t codes[kSuperBlock];
  for (size_t begin = 0; begin < row.size(); begin += kSuperBlock) {
    const std::span<const float> x = row.subspan(begin, kSuperBlock);
    float d = 0.0f;
    for (const float value : x) d = Max(d, Abs(value));
    if (importance != nullptr && d > 0.0f) {
      ImportanceWeights(x, importance + begin, MeanSquare(x), weights);
      d = SearchTernary(x, weights, d, codes);
    } else {
      TernaryCodes(x, d, codes);
    }
    f(d, codes);
  }
}

}  // namespace crossover::quant

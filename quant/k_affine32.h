// What Q4_K and Q5_K share: eight sub-blocks of 32, 6-bit scales and minima.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "quant/scale_min.h"
#include "quant/superblock.h"

namespace crossover::quant {

inline AffineSuperBlock<32> EncodeAffine32(std::span<const float> x, const float* importance,
                                           const AffineRule& rule) {
  float weights[kSuperBlock];
  if (importance != nullptr) {
    ImportanceWeights(x, importance, rule.importance_variance * MeanSquare(x), weights);
  } else {
    // A floor under |x|, so that the small weights of a sub-block still count.
    for (size_t begin = 0; begin < kSuperBlock; begin += 32) {
      const float floor = std::sqrt(MeanSquare(x.subspan(begin, 32)));
      for (size_t i = begin; i < begin + 32; ++i) weights[i] = floor + std::abs(x[i]);
    }
  }
  return EncodeAffine<32>(x.data(), weights, importance != nullptr, rule);
}

/// Low nibbles for even sub-blocks, high ones for odd.
inline void PackSubBlockNibbles(const uint8_t codes[kSuperBlock], uint8_t out[kSuperBlock / 2]) {
  for (size_t pair = 0; pair < 4; ++pair) {
    for (size_t l = 0; l < 32; ++l) {
      const unsigned even = codes[64 * pair + l] & 15u;
      const unsigned odd = codes[64 * pair + 32 + l] & 15u;
      out[32 * pair + l] = static_cast<uint8_t>(even | odd << 4);
    }
  }
}

}  // namespace crossover::quant

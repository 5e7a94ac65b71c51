// Choosing the codes of 4-bit floats.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "quant/mx4_levels.h"

namespace crossover::quant {

/// The nearest level; of two, the one of the lower code.
inline uint8_t NearestMx4(float x, float factor) {
  size_t best = 0;
  float least = std::numeric_limits<float>::infinity();
  for (size_t q = 0; q < kMx4Levels.size(); ++q) {
    const float error = std::abs(static_cast<float>(kMx4Levels[q]) * factor - x);
    if (error < least) {
      least = error;
      best = q;
    }
  }
  return static_cast<uint8_t>(best);
}

}  // namespace crossover::quant

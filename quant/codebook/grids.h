// The codebooks of IQ1_S … IQ3_S: constants of GGUF's formats. A code names a point of a grid,
// whose eight (or four) coordinates are the magnitudes of as many weights; their signs stand apart.
#pragma once

#include <array>
#include <cstdint>

#include "quant/parts.h"

namespace crossover::quant {

// A coordinate a byte, the first in the lowest.
extern const std::array<uint64_t, 256> kIq2XxsGrid;
extern const std::array<uint64_t, 512> kIq2XsGrid;
extern const std::array<uint64_t, 1024> kIq2SGrid;
extern const std::array<uint32_t, 256> kIq3XxsGrid;
extern const std::array<uint32_t, 512> kIq3SGrid;
/// Signed: -8, 0 and 8.
extern const std::array<uint64_t, 2048> kIq1Grid;

/// Eight signs as bytes of ones; bit i is that of coordinate i.
extern const std::array<uint64_t, 256> kSignBytes;
/// The same of seven: the eighth makes the number of minus signs even.
extern const std::array<uint64_t, 128> kEvenSignBytes;

/// Positive bytes with signs: nothing is carried from one to the next.
inline uint64_t WithSigns(uint64_t magnitudes, uint64_t signs) {
  return (magnitudes ^ signs) + (signs & kOneEach);
}

}  // namespace crossover::quant

// The sixteen values of a 4-bit float (2 bits of exponent, 1 of mantissa), twice as large so that
// they are integers: MXFP4 and NVFP4.
#pragma once

#include <array>
#include <cstdint>

namespace crossover::quant {

inline constexpr std::array<int8_t, 16> kMx4Levels = {0, 1,  2,  3,  4,  6,  8,  12,
                                                      0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace crossover::quant

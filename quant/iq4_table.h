// The sixteen levels of IQ4_NL and IQ4_XS: denser near zero, where weights are.
#pragma once

#include <array>
#include <cstdint>

namespace crossover::quant {

inline constexpr std::array<int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace crossover::quant

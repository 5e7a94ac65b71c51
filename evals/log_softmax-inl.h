#pragma once

#include <bit>
#include <cstdint>

namespace crossover::evals {

inline float ExpNonPositive(float x) {
  // e^x = 2^n e^r, n = round(x / ln 2), |r| ≤ ln 2 / 2. Adding 1.5 · 2^23 rounds to an integer
  // without a rounding instruction. ln 2 is taken in two parts so that n · ln 2 is exact.
  constexpr float kLog2E = 1.44269504f;
  constexpr float kRound = 12582912.0f;
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kUnderflow = -87.0f;
  const float clamped = x > kUnderflow ? x : kUnderflow;
  const float n = (clamped * kLog2E + kRound) - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  // Taylor to r^7: the next term is below 6e-9 for |r| ≤ ln 2 / 2.
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const float power = std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
  return x > kUnderflow ? p * power : 0.0f;
}

}  // namespace crossover::evals

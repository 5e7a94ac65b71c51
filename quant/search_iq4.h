// The search of IQ4_NL and IQ4_XS: a scale for codes into kIq4Levels.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "quant/iq4_table.h"
#include "quant/search.h"

namespace crossover::quant {

/// The nearest level. Counting the midpoints passed needs no branch; an element on a midpoint goes
/// to the upper level.
template <class V>
V NearestIq4Level(V v) {
  V level = Splat<V>(kIq4Levels[0]);
  for (size_t i = 1; i < kIq4Levels.size(); ++i) {
    const float gap = static_cast<float>(kIq4Levels[i] - kIq4Levels[i - 1]);
    const float midpoint = static_cast<float>(kIq4Levels[i]) - 0.5f * gap;
    level += v >= midpoint ? Splat<V>(gap) : V{};
  }
  return level;
}

inline uint8_t NearestIq4Code(float v) {
  unsigned code = 0;
  for (size_t i = 1; i < kIq4Levels.size(); ++i) {
    code += v >= 0.5f * static_cast<float>(kIq4Levels[i] + kIq4Levels[i - 1]);
  }
  return static_cast<uint8_t>(code);
}

template <class V, size_t kLength>
Moments<V> Iq4Moments(const std::array<V, kLength>& x, const std::array<V, kLength>& w,
                      V code_scale) {
  Moments<V> sum{};
  for (size_t i = 0; i < kLength; ++i) {
    const V level = NearestIq4Level(code_scale * x[i]);
    const V weighted = w[i] * level;
    sum.wxq += weighted * x[i];
    sum.wqq += weighted * level;
  }
  return sum;
}

/// The element of largest magnitude is mapped near the table's long end, first with its own sign,
/// then in fifteen tries with the sign turned; the largest gain Σ(wxq)² / Σwq² wins.
template <class V, size_t kLength>
V SearchIq4(const std::array<V, kLength>& x, const std::array<V, kLength>& w) {
  constexpr float kEnd = kIq4Levels[0];
  const V maximum = SignedMaximum(x);
  const auto zero = Abs(maximum) < kZeroThreshold;
  const V divisor = zero ? Splat<V>(1.0f) : maximum;

  Moments<V> sum = Iq4Moments(x, w, 1.0f / (-divisor / kEnd));
  V scale = sum.wqq > 0.0f ? sum.wxq / sum.wqq : V{};
  V best = scale * sum.wxq;
  for (int t = -7; t <= 7; ++t) {
    sum = Iq4Moments(x, w, (static_cast<float>(t) + kEnd) / divisor);
    const auto better = (sum.wqq > 0.0f) & (sum.wxq * sum.wxq > best * sum.wqq);
    const V fitted = sum.wxq / sum.wqq;
    scale = better ? fitted : scale;
    best = better ? fitted * sum.wxq : best;
  }
  return zero ? V{} : scale;
}

/// The codes of 32 elements for a given scale; zero takes the level nearest to zero.
inline void Iq4Codes(const float* x, float scale, uint8_t codes[32]) {
  const float inverse = Reciprocal(scale);
  for (size_t i = 0; i < 32; ++i) codes[i] = NearestIq4Code(inverse * x[i]);
}

}  // namespace crossover::quant

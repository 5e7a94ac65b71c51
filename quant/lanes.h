// Several sub-blocks side by side, one in each lane of a vector: the searches below add up strictly
// in the order of a block's elements, so that a result never depends on the width, and are fast all
// the same, because the lanes are independent. Written against a type V that is `Lanes` or `float`.
#pragma once

#include <array>
#include <cstddef>
#include <limits>

namespace crossover::quant {

inline constexpr size_t kLanes = 4;
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

template <class V>
struct LaneTraits {
  static constexpr size_t kCount = kLanes;
  static bool Any(auto mask) {
    for (size_t s = 0; s < kLanes; ++s) {
      if (mask[s] != 0) return true;
    }
    return false;
  }
  static float Get(V v, size_t lane) { return v[lane]; }
};

template <>
struct LaneTraits<float> {
  static constexpr size_t kCount = 1;
  static bool Any(bool mask) { return mask; }
  static float Get(float v, size_t) { return v; }
};

/// Element i of `out` holds element i of kCount successive sub-blocks.
template <class V, size_t kLength>
std::array<V, kLength> LoadLanes(const float* x) {
  std::array<V, kLength> out;
  for (size_t i = 0; i < kLength; ++i) {
    if constexpr (LaneTraits<V>::kCount == 1) {
      out[i] = x[i];
    } else {
      out[i] = V{x[i], x[kLength + i], x[2 * kLength + i], x[3 * kLength + i]};
    }
  }
  return out;
}

template <class V>
void StoreLanes(V v, float* out) {
  for (size_t s = 0; s < LaneTraits<V>::kCount; ++s) out[s] = LaneTraits<V>::Get(v, s);
}

template <class V>
V Splat(float value) {
  return V{} + value;
}

template <class V>
V Min(V a, V b) {
  return a < b ? a : b;
}

template <class V>
V Max(V a, V b) {
  return a > b ? a : b;
}

template <class V>
V Abs(V v) {
  return Max(v, -v);
}

/// A NaN comes out as `low`, so that a code is always in range.
template <class V>
V Clamp(V v, float low, float high) {
  return Min(Max(v, Splat<V>(low)), Splat<V>(high));
}

/// To the nearest integer, ties to even, for |v| < 2^22: adding 1.5·2^23 leaves no bits for the
/// fraction. Two additions, where the baseline instruction set has no rounding instruction.
template <class V>
V Round(V v) {
  constexpr float kShift = 12582912.0f;
  return (v + kShift) - kShift;
}

/// Clamping first changes nothing for integer bounds, and keeps Round in its range.
template <class V>
V RoundClamped(V v, float low, float high) {
  return Round(Clamp(v, low, high));
}

/// 1 / d, or 0 where that is no finite number.
inline float Reciprocal(float d) {
  const float r = 1.0f / d;
  return r <= std::numeric_limits<float>::max() && r >= -std::numeric_limits<float>::max() ? r
                                                                                           : 0.0f;
}

}  // namespace crossover::quant

// How the family's scales (and zero points) are found: the least-squares problem
//   min Σ w·(x - d·(c - z))²,  c = clamp(round(x / d + z), -M, M - 1),  M = 2^(bits - 1)
// over d (and z), d and z being the halves that are stored. For given codes the best d and z follow
// from sums, for given d and z the codes from rounding; so a search over grids finds codes near the
// best, alternation does the rest, and what comes out is kept only if it beats plain rounding to
// the range. Codes are centred here: z is the stored one less M.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "quant/half.h"
#include "quant/lanes.h"
#include "quant/search.h"

namespace crossover::quant {

/// The grids tried for one width: how many steps of d the range is cut into, as multiples of plain
/// rounding's (M steps to the largest magnitude, 2M - 1 from the smallest to the largest element).
struct GGrid {
  float low;
  float high;
  int count;       // of each kind
  bool two_signs;  // symmetric codes reach one step further below zero than above
};

/// Chosen on Gaussian groups and on a trained model's (reference-m), against 500 grids alternated
/// to the end (g_test.cc): the error is within 0.2 % of theirs at 2 to 6 bits, 2 % at 8. More steps
/// clip the extremes, which pays at few bits; fewer let the largest code be whichever suits the
/// rest, which pays at many.
inline constexpr std::array<GGrid, 9> kSymmetricGrids = {{{},
                                                          {},
                                                          {0.40f, 1.75f, 12, true},
                                                          {0.45f, 1.40f, 12, true},
                                                          {0.75f, 1.19f, 12, true},
                                                          {0.80f, 1.08f, 24, false},
                                                          {0.86f, 1.035f, 24, false},
                                                          {0.88f, 1.02f, 24, false},
                                                          {0.90f, 1.008f, 24, false}}};
/// Within 3 % of 3600 ranges. Three kinds: around the middle, from the smallest element, and down
/// from the largest.
inline constexpr std::array<GGrid, 9> kZeroGrids = {{{},
                                                     {},
                                                     {0.90f, 2.00f, 11, false},
                                                     {0.93f, 1.70f, 11, false},
                                                     {0.95f, 1.30f, 11, false},
                                                     {0.95f, 1.15f, 11, false},
                                                     {0.96f, 1.06f, 11, false},
                                                     {0.97f, 1.03f, 11, false},
                                                     {0.975f, 1.012f, 11, false}}};

/// x ≈ d·(c - z); d and z are what the stored halves say.
template <class V>
struct GFit {
  V d;
  V z;
  V error;  // Σ w·(x - d·(c - z))²
};

template <class V>
V GCode(V x, V inverse, V z, float max_code) {
  return RoundClamped(x * inverse + z, -max_code, max_code - 1.0f);
}

/// f(v) lane by lane.
template <class V>
V MapLanes(V v, float (*f)(float)) {
  if constexpr (LaneTraits<V>::kCount == 1) {
    return f(v);
  } else {
    V out{};
    for (size_t s = 0; s < LaneTraits<V>::kCount; ++s) out[s] = f(v[s]);
    return out;
  }
}

template <class V>
V RoundToHalf(V v) {
  return MapLanes(v, [](float x) { return Half::FromFloat(x).ToFloat(); });
}

template <class V>
V Reciprocals(V v) {
  return MapLanes(v, [](float x) { return Reciprocal(x); });
}

/// Sums over a group, from which d and z follow.
template <class V>
struct GSums {
  V c{};
  V cc{};
  V cx{};

  void Add(V w, V x, V code) {
    const V weighted = w * code;
    c += weighted;
    cc += weighted * code;
    cx += weighted * x;
  }
};

/// A group, as far as no candidate changes it.
template <class V, size_t kLength>
struct GGroup {
  const std::array<V, kLength>& x;
  const std::array<V, kLength>& w;
  float max_code;  // M
  V sum_w{};
  V sum_wx{};

  GGroup(const std::array<V, kLength>& values, const std::array<V, kLength>& weights, float m)
      : x(values), w(weights), max_code(m) {
    for (size_t i = 0; i < kLength; ++i) {
      sum_w += w[i];
      sum_wx += w[i] * x[i];
    }
  }

  GSums<V> Sums(V inverse, V z) const {
    GSums<V> sums;
    for (size_t i = 0; i < kLength; ++i) sums.Add(w[i], x[i], GCode(x[i], inverse, z, max_code));
    return sums;
  }

  /// With the stored d and z, and the codes that a reader will get.
  GFit<V> Fit(V d, V z) const {
    const V inverse = Reciprocals(d);
    GFit<V> fit{d, z, V{}};
    for (size_t i = 0; i < kLength; ++i) {
      const V difference = d * (GCode(x[i], inverse, z, max_code) - z) - x[i];
      fit.error += w[i] * difference * difference;
    }
    return fit;
  }
};

/// An error that is no number loses.
template <class V>
void KeepBetter(GFit<V>& best, const GFit<V>& other) {
  const auto better = other.error < best.error;
  best.d = better ? other.d : best.d;
  best.z = better ? other.z : best.z;
  best.error = better ? other.error : best.error;
}

/// Symmetric: z = 0, d of either sign. The largest magnitude is mapped to ±steps; the largest gain
/// Σ wxc² / Σ wcc, which is what the error falls by, wins.
template <class V, size_t kLength>
GFit<V> SearchGSymmetric(const GGroup<V, kLength>& group, size_t bits) {
  const GGrid& grid = kSymmetricGrids[bits];
  const V none{};
  const V maximum = SignedMaximum(group.x);
  const V unit = group.max_code / (Abs(maximum) < kZeroThreshold ? Splat<V>(1.0f) : maximum);
  V best_inverse = -unit;
  V best_gain{};
  const auto keep = [&](V inverse, const GSums<V>& sums) {
    const V gain = sums.cx * sums.cx / sums.cc;
    const auto better = gain > best_gain;
    best_inverse = better ? inverse : best_inverse;
    best_gain = better ? gain : best_gain;
  };
  const float step = (grid.high - grid.low) / static_cast<float>(grid.count - 1);
  for (int k = 0; k < grid.count; ++k) {
    const V inverse = unit * -(grid.low + step * static_cast<float>(k));
    keep(inverse, group.Sums(inverse, none));
    if (grid.two_signs) keep(-inverse, group.Sums(-inverse, none));
  }

  const auto alternate = [&](V inverse) {
    const GSums<V> sums = group.Sums(inverse, none);
    return RoundToHalf(sums.cc > 0.0f ? sums.cx / sums.cc : V{});
  };
  const V d = alternate(best_inverse);
  // Plain rounding first: to the whole range of codes, and to the same number of them either side.
  GFit<V> best = group.Fit(RoundToHalf(maximum / -group.max_code), none);
  KeepBetter(best, group.Fit(RoundToHalf(maximum / (group.max_code - 1.0f)), none));
  KeepBetter(best, group.Fit(alternate(Reciprocals(d)), none));
  return best;
}

/// The z that a block can hold: `offset` (0 or M) is what the stored one is more than the centred.
template <class V>
V RoundToStoredZero(V z, float offset) {
  return RoundToHalf(z + offset) - offset;
}

/// With a zero point. The least-squares line through (c, x) has the slope d and meets x = 0 at z.
template <class V, size_t kLength>
GFit<V> SearchGZero(const GGroup<V, kLength>& group, size_t bits, float offset) {
  const GGrid& grid = kZeroGrids[bits];
  const float codes = 2.0f * group.max_code - 1.0f;
  V low = group.x[0];
  V high = group.x[0];
  for (const V& x : group.x) {
    low = Min(low, x);
    high = Max(high, x);
  }
  const V range = high - low;
  const auto flat = range < kZeroThreshold;
  const V unit = codes / (flat ? Splat<V>(1.0f) : range);

  V best_inverse = unit;
  V best_z{};
  V best_gain{};
  const float step = (grid.high - grid.low) / static_cast<float>(grid.count - 1);
  for (int k = 0; k < 3 * grid.count; ++k) {
    const V inverse = unit * (grid.low + step / 3.0f * static_cast<float>(k));
    const V middle = (low + high) * -0.5f * inverse - 0.5f;
    const V from_low = low * -inverse - group.max_code;
    const V to_high = high * -inverse + (group.max_code - 1.0f);
    const V z = k % 3 == 0 ? middle : k % 3 == 1 ? from_low : to_high;
    const GSums<V> sums = group.Sums(inverse, z);
    // What the line explains beyond the mean: covariance² / variance, both times Σw.
    const V covariance = group.sum_w * sums.cx - sums.c * group.sum_wx;
    const V variance = group.sum_w * sums.cc - sums.c * sums.c;
    const V gain = covariance * covariance / variance;
    const auto better = gain > best_gain;
    best_inverse = better ? inverse : best_inverse;
    best_z = better ? z : best_z;
    best_gain = better ? gain : best_gain;
  }

  const auto alternate = [&](V inverse, V z) {
    const GSums<V> sums = group.Sums(inverse, z);
    const V covariance = group.sum_w * sums.cx - sums.c * group.sum_wx;
    const V variance = group.sum_w * sums.cc - sums.c * sums.c;
    const V d = RoundToHalf(variance > 0.0f ? covariance / variance : V{});
    // The best z for the d that is stored.
    const V stored_z = (sums.c - group.sum_wx * Reciprocals(d)) / group.sum_w;
    return GFit<V>{d, RoundToStoredZero(stored_z, offset), V{}};
  };
  // Plain rounding first: of the range with zero in it, which is never out of a half's reach, and
  // of the range.
  const auto plain = [&](V from, V to) {
    const V d = RoundToHalf((to - from) / codes);
    return group.Fit(d, RoundToStoredZero(-from * Reciprocals(d) - group.max_code, offset));
  };
  GFit<V> best = plain(Min(low, V{}), Max(high, V{}));
  KeepBetter(best, plain(low, high));
  const GFit<V> first = alternate(best_inverse, best_z);
  const GFit<V> second = alternate(Reciprocals(first.d), first.z);
  KeepBetter(best, group.Fit(second.d, second.z));
  return best;
}

}  // namespace crossover::quant

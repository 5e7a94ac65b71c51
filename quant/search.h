// How scales are found. Every quantised format stores small integers q with a shared scale (and
// minimum); rounding to the grid that the largest element spans is rarely the best choice, so the
// encoders try neighbouring grids and keep the one whose least-squares fit is best.
//
// These are the searches of llama.cpp's quantisers: with the same order of operations, and without
// fused multiply-adds, the blocks come out byte for byte the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "quant/lanes.h"

namespace crossover::quant {

/// Below this a sub-block counts as zero.
inline constexpr float kZeroThreshold = 1e-15f;

/// The grids that SearchAffine tries: (first + step·i + max_code) steps across the range, i = 0 …
/// count.
struct AffineTries {
  float first;
  float step;
  int count;
  bool squared;  // the error minimised: squared, or absolute
};

/// x ≈ scale·q + min, with q = AffineCode(x, …).
template <class V>
struct AffineFit {
  V scale;
  V min;         // ≤ 0
  V code_scale;  // the grid on which the codes were chosen; the fit has moved on from it since
  V code_min;
};

template <class V>
V AffineCode(V x, V code_scale, V code_min, float max_code) {
  return RoundClamped(code_scale * (x - code_min), 0.0f, max_code);
}

/// The sum of w·|scale·q + min - x| or of its square.
template <class V, size_t kLength>
V AffineError(const std::array<V, kLength>& x, const std::array<V, kLength>& w,
              const std::array<V, kLength>& codes, V scale, V min, bool squared) {
  V error{};
  for (size_t i = 0; i < kLength; ++i) {
    const V difference = scale * codes[i] + min - x[i];
    error += w[i] * (squared ? difference * difference : Abs(difference));
  }
  return error;
}

/// Search A: scale and minimum together (Q2_K, Q4_K, Q5_K; Q4_1 and Q5_1 with importance).
/// Each try chooses codes on a grid, solves the weighted 2×2 least-squares problem for them, and is
/// kept if its error is strictly smaller; later tries then start from the minimum found.
template <class V, size_t kLength>
AffineFit<V> SearchAffine(const std::array<V, kLength>& x, const std::array<V, kLength>& w,
                          float max_code, const AffineTries& tries) {
  V min = x[0];
  V max = x[0];
  V sum_w = w[0];
  V sum_wx = w[0] * x[0];
  for (size_t i = 1; i < kLength; ++i) {
    min = Min(min, x[i]);
    max = Max(max, x[i]);
    sum_w += w[i];
    sum_wx += w[i] * x[i];
  }
  min = Min(min, V{});
  const auto flat = max == min;
  const V first_scale = max_code / (flat ? Splat<V>(1.0f) : max - min);
  AffineFit<V> best{1.0f / first_scale, min, first_scale, min};
  std::array<V, kLength> codes;
  for (size_t i = 0; i < kLength; ++i) codes[i] = AffineCode(x[i], first_scale, min, max_code);
  V best_error = AffineError(x, w, codes, best.scale, best.min, tries.squared);

  for (int step = 0; step <= tries.count; ++step) {
    const V steps = Splat<V>(tries.first + tries.step * static_cast<float>(step) + max_code);
    AffineFit<V> fit{{}, {}, steps / (flat ? Splat<V>(1.0f) : max - best.min), best.min};
    V sum_q{};
    V sum_qq{};
    V sum_qx{};
    for (size_t i = 0; i < kLength; ++i) {
      codes[i] = AffineCode(x[i], fit.code_scale, fit.code_min, max_code);
      const V weighted = w[i] * codes[i];
      sum_q += weighted;
      sum_qq += weighted * codes[i];
      sum_qx += weighted * x[i];
    }
    const V determinant = sum_w * sum_qq - sum_q * sum_q;
    fit.scale = (sum_w * sum_qx - sum_wx * sum_q) / determinant;
    fit.min = (sum_qq * sum_wx - sum_q * sum_qx) / determinant;
    const auto above_zero = fit.min > 0.0f;
    fit.scale = above_zero ? sum_qx / sum_qq : fit.scale;
    fit.min = above_zero ? V{} : fit.min;
    const V error = AffineError(x, w, codes, fit.scale, fit.min, tries.squared);
    const auto better = (determinant > 0.0f) & (error < best_error);
    best.scale = better ? fit.scale : best.scale;
    best.min = better ? fit.min : best.min;
    best.code_scale = better ? fit.code_scale : best.code_scale;
    best.code_min = better ? fit.code_min : best.code_min;
    best_error = better ? error : best_error;
  }
  best.scale = flat ? V{} : best.scale;
  best.code_scale = flat ? V{} : best.code_scale;
  return best;
}

/// x ≈ scale·(q - max_code) with q in 0 … 2·max_code - 1.
template <class V>
struct SignedFit {
  V scale;
  V code_scale;
  V code_offset;  // max_code, or 0 for a zero sub-block
};

template <class V>
V SignedCode(V x, const SignedFit<V>& fit, float max_code) {
  return RoundClamped(fit.code_scale * x, -max_code, max_code - 1.0f) + fit.code_offset;
}

/// The element of largest magnitude, with its sign; the first on ties.
template <class V, size_t kLength>
V SignedMaximum(const std::array<V, kLength>& x) {
  V magnitude{};
  V maximum{};
  for (size_t i = 0; i < kLength; ++i) {
    const V absolute = Abs(x[i]);
    maximum = absolute > magnitude ? x[i] : maximum;
    magnitude = Max(magnitude, absolute);
  }
  return maximum;
}

/// Σwxq and Σwq², from which the least-squares scale and its gain follow: scale = wxq / wqq, and
/// the error falls by wxq² / wqq.
template <class V>
struct Moments {
  V wxq;
  V wqq;
};

template <class V, size_t kLength>
Moments<V> SignedMoments(const std::array<V, kLength>& x, const std::array<V, kLength>& w,
                         V code_scale, float max_code) {
  Moments<V> sum{};
  for (size_t i = 0; i < kLength; ++i) {
    const V code = RoundClamped(code_scale * x[i], -max_code, max_code - 1.0f);
    sum.wxq += w[i] * x[i] * code;
    sum.wqq += w[i] * code * code;
  }
  return sum;
}

/// Search C: a signed scale (Q6_K; Q4_0, Q5_0 and Q3_K with importance). The element of largest
/// magnitude is mapped to -(max_code + t/10), t = -9 … 9; the largest gain wins.
template <class V, size_t kLength>
SignedFit<V> SearchSigned(const std::array<V, kLength>& x, const std::array<V, kLength>& w,
                          float max_code) {
  const V maximum = SignedMaximum(x);
  const auto zero = Abs(maximum) < kZeroThreshold;
  const V divisor = zero ? Splat<V>(1.0f) : maximum;

  V code_scale = -max_code / divisor;
  Moments<V> sum = SignedMoments(x, w, code_scale, max_code);
  V scale = sum.wqq != 0.0f ? sum.wxq / sum.wqq : V{};
  V best = scale * sum.wxq;
  for (int t = -9; t <= 9; ++t) {
    if (t == 0) continue;
    const V try_scale = Splat<V>(-(max_code + 0.1f * static_cast<float>(t))) / divisor;
    sum = SignedMoments(x, w, try_scale, max_code);
    const auto better = (sum.wqq > 0.0f) & (sum.wxq * sum.wxq > best * sum.wqq);
    const V fitted = sum.wxq / sum.wqq;
    scale = better ? fitted : scale;
    best = better ? fitted * sum.wxq : best;
    code_scale = better ? try_scale : code_scale;
  }
  return {zero ? V{} : scale, zero ? V{} : code_scale, zero ? V{} : Splat<V>(max_code)};
}

/// Coordinate descent, at most five sweeps: each code in turn moves to where it fits the others'
/// scale best, if that raises the gain. Keeps `sum` up to date.
template <class V, size_t kLength>
void SweepCodes(const std::array<V, kLength>& x, const std::array<V, kLength>& w, float low,
                float high, std::array<V, kLength>& codes, Moments<V>& sum) {
  for (int sweep = 0; sweep < 5; ++sweep) {
    bool changed = false;
    for (size_t i = 0; i < kLength; ++i) {
      const V weighted = w[i] * x[i];
      V wxq = sum.wxq - weighted * codes[i];
      V wqq = sum.wqq - w[i] * codes[i] * codes[i];
      const V code = RoundClamped(x[i] * wqq / wxq, low, high);
      const auto movable = (wxq > 0.0f) & (wqq > 0.0f) & (code != codes[i]);
      wxq += weighted * code;
      wqq += w[i] * code * code;
      const auto better = movable & (wxq * wxq * sum.wqq > sum.wxq * sum.wxq * wqq);
      codes[i] = better ? code : codes[i];
      sum.wxq = better ? wxq : sum.wxq;
      sum.wqq = better ? wqq : sum.wqq;
      changed |= LaneTraits<V>::Any(better);
    }
    if (!changed) return;
  }
}

/// Search B: a signed scale for few levels (Q3_K), weights x², refined by SweepCodes. Codes as in
/// SignedFit.
template <class V, size_t kLength>
V SearchSignedSweep(const std::array<V, kLength>& x, float max_code,
                    std::array<V, kLength>& codes) {
  const V maximum = SignedMaximum(x);
  const auto zero = Abs(maximum) < kZeroThreshold;
  const V code_scale = -max_code / (zero ? Splat<V>(1.0f) : maximum);

  std::array<V, kLength> w;
  Moments<V> sum{};
  for (size_t i = 0; i < kLength; ++i) {
    w[i] = x[i] * x[i];
    codes[i] = RoundClamped(code_scale * x[i], -max_code, max_code - 1.0f);
    sum.wxq += w[i] * x[i] * codes[i];
    sum.wqq += w[i] * codes[i] * codes[i];
  }
  SweepCodes(x, w, -max_code, max_code - 1.0f, codes, sum);
  for (V& code : codes) code = zero ? V{} : code + max_code;
  const V scale = sum.wqq > 0.0f ? sum.wxq / sum.wqq : V{};
  return zero ? V{} : scale;
}

/// Search D: a scale for non-negative values with codes 0 … max_code, used on the scales and minima
/// of the sub-blocks themselves. Returns the scale.
template <size_t kLength>
float SearchPositive(const std::array<float, kLength>& x, const std::array<float, kLength>& w,
                     float max_code, std::array<uint8_t, kLength>& codes) {
  float maximum = 0.0f;
  for (const float value : x) maximum = Max(maximum, value);
  codes.fill(0);
  if (maximum < kZeroThreshold) return 0.0f;

  float code_scale = max_code / maximum;
  float best_error = 0.0f;
  for (int t = 0; t < 9; ++t) {  // the plain grid first, then -4 … 4 tenths of a step beside it
    const int tenths = t == 0 ? 0 : t <= 4 ? t - 5 : t - 4;
    const float try_scale = (0.1f * static_cast<float>(tenths) + max_code) / maximum;
    const float scale = 1.0f / try_scale;
    float error = 0.0f;
    for (size_t i = 0; i < kLength; ++i) {
      const float difference = x[i] - scale * RoundClamped(try_scale * x[i], 0.0f, max_code);
      error += w[i] * difference * difference;
    }
    if (t == 0 || error < best_error) {
      best_error = error;
      code_scale = try_scale;
    }
  }

  std::array<float, kLength> q;
  Moments<float> sum{};
  for (size_t i = 0; i < kLength; ++i) {
    q[i] = RoundClamped(code_scale * x[i], 0.0f, max_code);
    sum.wxq += w[i] * x[i] * q[i];
    sum.wqq += w[i] * q[i] * q[i];
  }
  SweepCodes(x, w, 0.0f, max_code, q, sum);
  for (size_t i = 0; i < kLength; ++i) codes[i] = static_cast<uint8_t>(q[i]);
  return sum.wqq > 0.0f ? sum.wxq / sum.wqq : 0.0f;
}

}  // namespace crossover::quant

#include "kernels/rows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Σ x², in double: lane i of 16 sums x[i], x[i + 16], …, whatever the register's length, and the
// lanes are added in order. A float32 square is exact in double, so a fused multiply-add changes
// nothing either: every level returns the same bits.
double SumOfSquares(const float* x, size_t n) {
  constexpr size_t kLanes = 16;
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  constexpr size_t kStep = hn::MaxLanes(d);
  static_assert(kLanes % kStep == 0);

  hn::Vec<decltype(d)> sum[kLanes / kStep];
  for (auto& s : sum) s = hn::Zero(d);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t k = 0; k < kLanes / kStep; ++k) {
      const auto v = hn::PromoteTo(d, hn::LoadU(half, x + i + k * kStep));
      sum[k] = hn::MulAdd(v, v, sum[k]);
    }
  }
  double lanes[kLanes];
  for (size_t k = 0; k < kLanes / kStep; ++k) hn::StoreU(sum[k], d, lanes + k * kStep);
  for (size_t lane = 0; i + lane < n; ++lane) {
    lanes[lane] += static_cast<double>(x[i + lane]) * x[i + lane];
  }
  double total = 0;
  for (double lane : lanes) total += lane;
  return total;
}

void RmsNorm(const float* x, const float* weight, size_t n, float eps, float* out) {
  const double mean = SumOfSquares(x, n) / static_cast<double>(n);
  const float inverse = static_cast<float>(1.0 / std::sqrt(mean + eps));
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto factor = hn::Set(d, inverse);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto scaled = hn::Mul(hn::LoadU(d, x + i), factor);
    hn::StoreU(hn::Mul(scaled, hn::LoadU(d, weight + i)), d, out + i);
  }
  for (; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}

void Add(const float* x, size_t n, float* y) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  }
  for (; i < n; ++i) y[i] += x[i];
}

void Scale(float factor, size_t n, float* x) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto f = hn::Set(d, factor);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), f), d, x + i);
  for (; i < n; ++i) x[i] *= factor;
}

// One head, pairs (i, i + pairs).
void RotateHalves(float* x, size_t pairs, const float* cosine, const float* sine) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= pairs; i += lanes) {
    const auto a = hn::LoadU(d, x + i);
    const auto b = hn::LoadU(d, x + pairs + i);
    const auto c = hn::LoadU(d, cosine + i);
    const auto s = hn::LoadU(d, sine + i);
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, x + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, x + pairs + i);
  }
  for (; i < pairs; ++i) {
    const float a = x[i], b = x[pairs + i];
    x[i] = a * cosine[i] - b * sine[i];
    x[pairs + i] = a * sine[i] + b * cosine[i];
  }
}

// One head, pairs (2i, 2i + 1).
void RotateNeighbours(float* x, size_t pairs, const float* cosine, const float* sine) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= pairs; i += lanes) {
    hn::Vec<decltype(d)> a, b;
    hn::LoadInterleaved2(d, x + 2 * i, a, b);
    const auto c = hn::LoadU(d, cosine + i);
    const auto s = hn::LoadU(d, sine + i);
    hn::StoreInterleaved2(hn::NegMulAdd(b, s, hn::Mul(a, c)), hn::MulAdd(a, s, hn::Mul(b, c)), d,
                          x + 2 * i);
  }
  for (; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cosine[i] - b * sine[i];
    x[2 * i + 1] = a * sine[i] + b * cosine[i];
  }
}

void Rope(float* x, size_t heads, size_t head_dim, size_t rotary_dim, RopeStyle style,
          const float* cos_sin) {
  const size_t pairs = rotary_dim / 2;
  const auto rotate = style == RopeStyle::kNeox ? RotateHalves : RotateNeighbours;
  for (size_t h = 0; h < heads; ++h) rotate(x + h * head_dim, pairs, cos_sin, cos_sin + pairs);
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(RmsNorm);
HWY_EXPORT(Add);
HWY_EXPORT(Scale);
HWY_EXPORT(Rope);
}  // namespace

void RmsNorm(const float* x, const float* weight, size_t n, float eps, float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, weight, n, eps, out);
}

// Two passes: the squares of what is far from 0 would drown a small variance. Lane i of 16 sums
// x[i], x[i + 16], …, as SumOfSquares does.
void LayerNorm(const float* x, const float* weight, const float* bias, size_t n, float eps,
               float* out) {
  constexpr size_t kLanes = 16;
  const auto total = [n](const auto& value) {
    double lanes[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += value(i + lane);
    }
    for (size_t lane = 0; i + lane < n; ++lane) lanes[lane] += value(i + lane);
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    return sum;
  };
  const double mean = total([x](size_t i) { return double{x[i]}; }) / static_cast<double>(n);
  const double variance = total([x, mean](size_t i) {
                            const double off = x[i] - mean;
                            return off * off;
                          }) /
                          static_cast<double>(n);
  const double inverse = 1.0 / std::sqrt(variance + eps);
  for (size_t i = 0; i < n; ++i) {
    const auto scaled = static_cast<float>((x[i] - mean) * inverse);
    out[i] = scaled * weight[i] + (bias == nullptr ? 0.0f : bias[i]);
  }
}

void Normalize(const Norm& norm, const float* x, size_t n, float* out) {
  if (norm.kind == NormKind::kRms) return RmsNorm(x, norm.weight, n, norm.eps, out);
  LayerNorm(x, norm.weight, norm.bias, n, norm.eps, out);
}

void Add(const float* x, size_t n, float* y) { HWY_DYNAMIC_DISPATCH(Add)(x, n, y); }

void Scale(float factor, size_t n, float* x) { HWY_DYNAMIC_DISPATCH(Scale)(factor, n, x); }

void Rope(float* x, size_t heads, size_t head_dim, size_t rotary_dim, RopeStyle style,
          const float* cos_sin) {
  HWY_DYNAMIC_DISPATCH(Rope)(x, heads, head_dim, rotary_dim, style, cos_sin);
}

void SoftCap(float cap, size_t n, float* x) {
  Scale(1.0f / cap, n, x);
  SelectedVectorMath().tanh(n, x);
  Scale(cap, n, x);
}

void GatedUnit(Gate f, const float* up, size_t n, float* gate) {
  const VectorMath& math = SelectedVectorMath();
  (f == Gate::kSilu ? math.swiglu : math.geglu)(up, n, gate);
}

// g · sigmoid(a g) · (u + 1) = silu(a g) · (u + 1) / a.
void ClampedUnit(float* up, size_t n, float* gate) {
  constexpr float kSlope = 1.702f;
  constexpr float kLimit = 7.0f;
  for (size_t i = 0; i < n; ++i) {
    gate[i] = kSlope * std::min(gate[i], kLimit);
    up[i] = (std::clamp(up[i], -kLimit, kLimit) + 1.0f) / kSlope;
  }
  GatedUnit(Gate::kSilu, up, n, gate);
}

void Gelu(size_t n, float* x) {
  constexpr size_t kPiece = 256;
  static constexpr auto kOnes = [] {
    std::array<float, kPiece> ones{};
    ones.fill(1.0f);
    return ones;
  }();
  for (size_t i = 0; i < n; i += kPiece) {
    GatedUnit(Gate::kGelu, kOnes.data(), std::min(kPiece, n - i), x + i);
  }
}

void ReluSquared(size_t n, float* x) {
  for (size_t i = 0; i < n; ++i) {
    const float positive = x[i] > 0 || std::isnan(x[i]) ? x[i] : 0.0f;
    x[i] = positive * positive;
  }
}

void RopeTable(size_t position, size_t rotary_dim, float base, const float* factors,
               float magnitude, float* cos_sin) {
  SelectedVectorMath().rope_table(position, rotary_dim, base, factors, magnitude, cos_sin);
}

void Softmax(size_t n, float* x) { SelectedVectorMath().softmax(n, x); }

}  // namespace crossover::kernels
#endif  // HWY_ONCE

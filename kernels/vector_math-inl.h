// The functions of VectorMath for one xsimd architecture. Included by the vector_math_ARCH.cc files
// only, each compiled with that architecture's flags; everything is a template on the architecture,
// and xsimd's namespace has a name of its own (meson.build), so that the linker cannot merge code
// of two instruction sets (tests/binary_test.cc).
#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <xsimd/xsimd.hpp>

#include "kernels/vector_math.h"

namespace crossover::kernels::detail {

template <class Arch>
struct VectorMathOf {
  using F = xsimd::batch<float, Arch>;
  using D = xsimd::batch<double, Arch>;
  static constexpr size_t kFloats = F::size;
  static constexpr size_t kDoubles = D::size;

  // Loads and stores of the first `count` lanes; the others are `fill`.
  static F LoadPart(const float* x, size_t count, float fill) {
    float lanes[kFloats];
    for (size_t i = 0; i < kFloats; ++i) lanes[i] = i < count ? x[i] : fill;
    return F::load_unaligned(lanes);
  }
  static void StorePart(const F& v, size_t count, float* x) {
    float lanes[kFloats];
    v.store_unaligned(lanes);
    for (size_t i = 0; i < count; ++i) x[i] = lanes[i];
  }

  static void Tanh(size_t n, float* x) {
    size_t i = 0;
    for (; i + kFloats <= n; i += kFloats) {
      xsimd::tanh(F::load_unaligned(x + i)).store_unaligned(x + i);
    }
    if (i < n) StorePart(xsimd::tanh(LoadPart(x + i, n - i, 0.0f)), n - i, x + i);
  }

  static F SiluTimes(const F& gate, const F& up) {
    // e^-z overflows to infinity for z < -88, which gives the right limit, -0.
    return gate / (F(1.0f) + xsimd::exp(-gate)) * up;
  }

  static F GeluTimes(const F& gate, const F& up) {
    const F exponent = gate * (F(kGeluLinear) + F(kGeluCubic) * gate * gate);
    return gate / (F(1.0f) + xsimd::exp(exponent)) * up;
  }

  /// gate[i] ← unit(gate[i], up[i]).
  template <F (*kUnit)(const F&, const F&)>
  static void GatedUnit(const float* up, size_t n, float* gate) {
    size_t i = 0;
    for (; i + kFloats <= n; i += kFloats) {
      kUnit(F::load_unaligned(gate + i), F::load_unaligned(up + i)).store_unaligned(gate + i);
    }
    if (i < n) {
      StorePart(kUnit(LoadPart(gate + i, n - i, 0.0f), LoadPart(up + i, n - i, 0.0f)), n - i,
                gate + i);
    }
  }

  static double Sum(const F& v) {
    float lanes[kFloats];
    v.store_unaligned(lanes);
    double sum = 0;
    for (float lane : lanes) sum += lane;
    return sum;
  }

  static void Softmax(size_t n, float* x) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    F largest(-kInfinity);
    size_t i = 0;
    for (; i + kFloats <= n; i += kFloats) {
      largest = xsimd::max(largest, F::load_unaligned(x + i));
    }
    if (i < n) largest = xsimd::max(largest, LoadPart(x + i, n - i, -kInfinity));
    float lanes[kFloats];
    largest.store_unaligned(lanes);
    float shift = -kInfinity;
    for (float lane : lanes) shift = lane > shift ? lane : shift;

    // Sums in float over kBlock values, then in double: a vocabulary is too long for float alone.
    constexpr size_t kBlock = 32 * kFloats;
    double sum = 0;
    for (i = 0; i < n;) {
      const size_t end = n - i < kBlock ? n : i + kBlock;
      F partial(0.0f);
      for (; i + kFloats <= end; i += kFloats) {
        const F e = xsimd::exp(F::load_unaligned(x + i) - F(shift));
        e.store_unaligned(x + i);
        partial += e;
      }
      if (i < end) {
        const F e = xsimd::exp(LoadPart(x + i, end - i, -kInfinity) - F(shift));
        StorePart(e, end - i, x + i);
        partial += e;
        i = end;
      }
      sum += Sum(partial);
    }
    const float factor = static_cast<float>(1.0 / sum);
    for (i = 0; i + kFloats <= n; i += kFloats) {
      (F::load_unaligned(x + i) * F(factor)).store_unaligned(x + i);
    }
    for (; i < n; ++i) x[i] *= factor;
  }

  static void RopeTable(size_t position, size_t rotary_dim, float base, const float* factors,
                        float magnitude, float* cos_sin) {
    constexpr double kTwoPi = 2 * std::numbers::pi;
    const size_t pairs = rotary_dim / 2;
    const double step = -2.0 / static_cast<double>(rotary_dim) * std::log(double{base});
    for (size_t i = 0; i < pairs; i += kDoubles) {
      const size_t count = pairs - i < kDoubles ? pairs - i : kDoubles;
      double exponent[kDoubles], factor[kDoubles], cosine[kDoubles], sine[kDoubles];
      for (size_t lane = 0; lane < kDoubles; ++lane) {
        exponent[lane] = step * static_cast<double>(i + lane);
        factor[lane] = factors != nullptr && lane < count ? factors[i + lane] : 1.0;
      }
      const D frequency = xsimd::exp(D::load_unaligned(exponent)) / D::load_unaligned(factor);
      // Reduced to [-π, π] in double, which is off by 1e-11 at most for positions up to 2^17.
      D angle = D(static_cast<double>(position)) * frequency;
      angle -= xsimd::nearbyint(angle * D(1 / kTwoPi)) * D(kTwoPi);
      xsimd::cos(angle).store_unaligned(cosine);
      xsimd::sin(angle).store_unaligned(sine);
      for (size_t lane = 0; lane < count; ++lane) {
        cos_sin[i + lane] = static_cast<float>(cosine[lane] * magnitude);
        cos_sin[pairs + i + lane] = static_cast<float>(sine[lane] * magnitude);
      }
    }
  }

  static constexpr VectorMath Table(std::string_view name) {
    return {name, Tanh, GatedUnit<SiluTimes>, GatedUnit<GeluTimes>, Softmax, RopeTable};
  }
};

}  // namespace crossover::kernels::detail

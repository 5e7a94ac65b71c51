// The 16-bit floats of quant/half.h, a vector at a time and bit for bit the same: to float without
// loss, from float to nearest, ties to even.
#if defined(CROSSOVER_KERNELS_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_HALF_INL_H_
#undef CROSSOVER_KERNELS_HALF_INL_H_
#else
#define CROSSOVER_KERNELS_HALF_INL_H_
#endif

#include "kernels/simd-inl.h"
#include "quant/half.h"

// F16C comes with AVX2, half conversion with NEON. Elsewhere Highway 1.0.3 truncates and takes
// infinity for a number.
#undef CROSSOVER_HAS_HALF
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2) || (HWY_ARCH_ARM_A64 && HWY_TARGET != HWY_SCALAR)
#define CROSSOVER_HAS_HALF 1
#else
#define CROSSOVER_HAS_HALF 0
#endif

#if HWY_ARCH_X86
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE float HalfToFloat(quant::Half half) {
#if HWY_ARCH_X86 && CROSSOVER_HAS_HALF
  return _cvtsh_ss(half.bits);
#else
  return half.ToFloat();
#endif
}

/// Shifted into place, a half is a float too small by 2^112, denormals included; infinity and NaN
/// only lack the upper exponent bits. 7 ops.
template <class D, class V16>
HWY_INLINE hn::Vec<D> HalvesToFloats(D d, V16 halves) {
#if CROSSOVER_HAS_HALF
  return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), halves));
#else
  const hn::RebindToSigned<D> di;
  const auto wide = hn::PromoteTo(di, halves);
  const auto magnitude = hn::And(wide, hn::Set(di, 0x7fff));
  const auto sign = hn::ShiftLeft<16>(hn::Sub(wide, magnitude));
  const auto scaled = hn::Mul(hn::BitCast(d, hn::ShiftLeft<13>(magnitude)), hn::Set(d, 0x1p112f));
  const auto special = hn::VecFromMask(di, hn::Gt(magnitude, hn::Set(di, 0x7bff)));
  const auto exponent = hn::And(special, hn::Set(di, 0x7f800000));
  return hn::BitCast(d, hn::Or(hn::Or(hn::BitCast(di, scaled), exponent), sign));
#endif
}

/// As quant::FloatToHalfBits, its cases chosen by masks.
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, D>> FloatsToHalves([[maybe_unused]] D d, hn::Vec<D> v) {
  const hn::Rebind<uint16_t, D> d16;
#if CROSSOVER_HAS_HALF
  return hn::BitCast(d16, hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), v));
#else
  const hn::RebindToSigned<D> di;
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(di, v);
  const auto magnitude = hn::And(bits, hn::Set(di, 0x7fffffff));
  const auto sign = hn::BitCast(di, hn::ShiftRight<16>(hn::BitCast(du, hn::Xor(bits, magnitude))));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(di, 1));
  const auto normal =
      hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, odd), hn::Set(di, 0xfff - ((127 - 15) << 23))));
  const auto shifted = hn::Add(hn::BitCast(d, magnitude), hn::Set(d, 0.5f));
  const auto small = hn::Sub(hn::BitCast(di, shifted), hn::Set(di, 0x3f000000));
  const auto nan =
      hn::Or(hn::And(hn::ShiftRight<13>(magnitude), hn::Set(di, 0x3ff)), hn::Set(di, 0x7e00));
  auto half = hn::IfThenElse(hn::Lt(magnitude, hn::Set(di, 0x38800000)), small, normal);
  half = hn::IfThenElse(hn::Gt(magnitude, hn::Set(di, 0x477fefff)), hn::Set(di, 0x7c00), half);
  half = hn::IfThenElse(hn::Gt(magnitude, hn::Set(di, 0x7f800000)), nan, half);
  return hn::DemoteTo(d16, hn::Or(half, sign));
#endif
}

/// The bfloat16 nearest to each lane, in the lower half of its bits.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToSigned<D>> BFloat16Bits(D, hn::Vec<D> v) {
  const hn::RebindToSigned<D> di;
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, v);
  const auto upper = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(upper, hn::Set(du, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, odd), hn::Set(du, 0x7fff)));
  // Rounding could carry a NaN into infinity.
  const auto magnitude = hn::And(hn::BitCast(di, bits), hn::Set(di, 0x7fffffff));
  const auto is_nan = hn::Gt(magnitude, hn::Set(di, 0x7f800000));
  return hn::IfThenElse(is_nan, hn::BitCast(di, hn::Or(upper, hn::Set(du, 0x40))),
                        hn::BitCast(di, rounded));
}

template <class D>
HWY_INLINE hn::Vec<D> RoundToBFloat16(D d, hn::Vec<D> v) {
  return hn::BitCast(d, hn::ShiftLeft<16>(BFloat16Bits(d, v)));
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_HALF_INL_H_

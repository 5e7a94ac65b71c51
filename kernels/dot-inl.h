// Byte dot products: acc[i] += Σ_j w[4i + j] · x[4i + j], four products a 32-bit lane, with what
// each level has for it. w: unsigned codes up to 128, or signed ones; x: signed, at least -127.
#if defined(CROSSOVER_KERNELS_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DOT_INL_H_
#undef CROSSOVER_KERNELS_DOT_INL_H_
#else
#define CROSSOVER_KERNELS_DOT_INL_H_
#endif

#include "kernels/simd-inl.h"

#if HWY_ARCH_X86
#include <immintrin.h>
#elif HWY_ARCH_ARM
#include <arm_neon.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DI32 = hn::ScalableTag<int32_t>;
using VI32 = hn::Vec<DI32>;

#if HWY_ARCH_X86 && HWY_TARGET == HWY_AVX3_DL

// vpdpbusd: one instruction, no saturation.
HWY_INLINE VI32 Dot4(VI32 acc, const uint8_t* w, const int8_t* x) {
  return VI32{_mm512_dpbusd_epi32(acc.raw, _mm512_loadu_si512(w), _mm512_loadu_si512(x))};
}

#elif HWY_ARCH_X86 && HWY_TARGET == HWY_AVX3

// vpmaddubsw adds pairs in 16 bits: 2 · 128 · 127 = 32512 just fits.
HWY_INLINE VI32 Dot4(VI32 acc, const uint8_t* w, const int8_t* x) {
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_loadu_si512(w), _mm512_loadu_si512(x));
  const __m512i quads = _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
  return VI32{_mm512_add_epi32(acc.raw, quads)};
}

#elif HWY_ARCH_X86 && HWY_TARGET == HWY_AVX2

HWY_INLINE VI32 AddPairs(VI32 acc, __m256i w, __m256i x) {
#if CROSSOVER_DOTPROD
  return VI32{_mm256_dpbusd_avx_epi32(acc.raw, w, x)};
#else
  const __m256i quads = _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1));
  return VI32{_mm256_add_epi32(acc.raw, quads)};
#endif
}

HWY_INLINE VI32 Dot4(VI32 acc, const uint8_t* w, const int8_t* x) {
  return AddPairs(acc, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)),
                  _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
}

// w · x = |w| · (x with w's sign): the unsigned operand again.
HWY_INLINE VI32 Dot4(VI32 acc, const int8_t* w, const int8_t* x) {
  const __m256i wv = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
  const __m256i xv = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  return AddPairs(acc, _mm256_abs_epi8(wv), _mm256_sign_epi8(xv, wv));
}

#elif HWY_ARCH_X86 && HWY_TARGET == HWY_SSE4

HWY_INLINE VI32 AddPairs(VI32 acc, __m128i w, __m128i x) {
  const __m128i quads = _mm_madd_epi16(_mm_maddubs_epi16(w, x), _mm_set1_epi16(1));
  return VI32{_mm_add_epi32(acc.raw, quads)};
}

HWY_INLINE VI32 Dot4(VI32 acc, const uint8_t* w, const int8_t* x) {
  return AddPairs(acc, _mm_loadu_si128(reinterpret_cast<const __m128i*>(w)),
                  _mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
}

HWY_INLINE VI32 Dot4(VI32 acc, const int8_t* w, const int8_t* x) {
  const __m128i wv = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w));
  const __m128i xv = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return AddPairs(acc, _mm_abs_epi8(wv), _mm_sign_epi8(xv, wv));
}

#elif HWY_ARCH_ARM && HWY_TARGET != HWY_SCALAR

HWY_INLINE VI32 Dot4(VI32 acc, const int8_t* w, const int8_t* x) {
  const int8x16_t wv = vld1q_s8(w);
  const int8x16_t xv = vld1q_s8(x);
#if CROSSOVER_DOTPROD || defined(__ARM_FEATURE_DOTPROD)
  return VI32{vdotq_s32(acc.raw, wv, xv)};
#else
  // Products of 128 · 127 fit 16 bits, sums of two as well; the pairs of pairs are added in 32.
  const int16x8_t low = vmull_s8(vget_low_s8(wv), vget_low_s8(xv));
  const int16x8_t high = vmull_s8(vget_high_s8(wv), vget_high_s8(xv));
  const int32x4_t low2 = vpaddlq_s16(low);
  const int32x4_t high2 = vpaddlq_s16(high);
  return VI32{
      vaddq_s32(acc.raw, vcombine_s32(vpadd_s32(vget_low_s32(low2), vget_high_s32(low2)),
                                      vpadd_s32(vget_low_s32(high2), vget_high_s32(high2))))};
#endif
}

// Codes below 128 are the same signed.
HWY_INLINE VI32 Dot4(VI32 acc, const uint8_t* w, const int8_t* x) {
  return Dot4(acc, reinterpret_cast<const int8_t*>(w), x);
}

#else

template <class Code>
HWY_INLINE VI32 Dot4(VI32 acc, const Code* w, const int8_t* x) {
  static_assert(HWY_TARGET == HWY_SCALAR, "this level needs a byte dot product of its own");
  const int dot = w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3];
  return hn::Add(acc, hn::Set(DI32(), dot));
}

#endif

#if HWY_ARCH_X86 && (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL)

// AVX-512 has no sign instruction: x is negated under w's sign mask.
HWY_INLINE VI32 Dot4(VI32 acc, const int8_t* w, const int8_t* x) {
  const __m512i wv = _mm512_loadu_si512(w);
  const __m512i xv = _mm512_loadu_si512(x);
  const __m512i magnitude = _mm512_abs_epi8(wv);
  const __m512i turned =
      _mm512_mask_sub_epi8(xv, _mm512_movepi8_mask(wv), _mm512_setzero_si512(), xv);
#if HWY_TARGET == HWY_AVX3_DL
  return VI32{_mm512_dpbusd_epi32(acc.raw, magnitude, turned)};
#else
  const __m512i pairs = _mm512_maddubs_epi16(magnitude, turned);
  return VI32{_mm512_add_epi32(acc.raw, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
#endif
}

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DOT_INL_H_

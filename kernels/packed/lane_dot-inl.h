// Integer products a row a lane, with what each level has for them: acc[r] += Σ_j codes[r][j] ·
// x[j] over four columns j, of unsigned codes below 128 (any byte where kAnyByte), or of signed
// ones; x is at least -127.
#if defined(CROSSOVER_KERNELS_PACKED_LANE_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_LANE_DOT_INL_H_
#undef CROSSOVER_KERNELS_PACKED_LANE_DOT_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_LANE_DOT_INL_H_
#endif

#include "kernels/packed/codes-inl.h"

#if HWY_ARCH_X86
#include <immintrin.h>
#elif HWY_ARCH_ARM
#include <arm_neon.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL

// vpdpbusd takes all unsigned bytes: codes in place, and 8-bit ones, need nothing done to them.
constexpr bool kAnyByte = true;

template <bool>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  return VInts{_mm512_dpbusd_epi32(acc.raw, codes.raw, _mm512_set1_epi32(quad))};
}

#elif HWY_TARGET == HWY_AVX3

constexpr bool kAnyByte = false;

template <bool kSigned>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  __m512i w = codes.raw;
  __m512i x = _mm512_set1_epi32(quad);
  if constexpr (kSigned) {
    x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
    w = _mm512_abs_epi8(w);
  }
  const __m512i pairs = _mm512_maddubs_epi16(w, x);
  return VInts{_mm512_add_epi32(acc.raw, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
}

#elif HWY_TARGET == HWY_AVX2 && CROSSOVER_DOTPROD

constexpr bool kAnyByte = true;

template <bool>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  return VInts{_mm256_dpbusd_avx_epi32(acc.raw, codes.raw, _mm256_set1_epi32(quad))};
}

#elif HWY_TARGET == HWY_AVX2

constexpr bool kAnyByte = false;

// w · x = |w| · (x with w's sign); vpmaddubsw adds pairs in 16 bits: 2 · 128 ·
// 127 just fits.
template <bool kSigned>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  __m256i w = codes.raw;
  __m256i x = _mm256_set1_epi32(quad);
  if constexpr (kSigned) {
    x = _mm256_sign_epi8(x, w);
    w = _mm256_abs_epi8(w);
  }
  const __m256i pairs = _mm256_maddubs_epi16(w, x);
  return VInts{_mm256_add_epi32(acc.raw, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}

#elif HWY_TARGET == HWY_SSE4

constexpr bool kAnyByte = false;

template <bool kSigned>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  __m128i w = codes.raw;
  __m128i x = _mm_set1_epi32(quad);
  if constexpr (kSigned) {
    x = _mm_sign_epi8(x, w);
    w = _mm_abs_epi8(w);
  }
  const __m128i pairs = _mm_maddubs_epi16(w, x);
  return VInts{_mm_add_epi32(acc.raw, _mm_madd_epi16(pairs, _mm_set1_epi16(1)))};
}

#elif HWY_ARCH_ARM && HWY_TARGET != HWY_SCALAR

constexpr bool kAnyByte = false;

// Codes below 128 are the same signed.
template <bool kSigned>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  const int8x16_t w = vreinterpretq_s8_u8(codes.raw);
  const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(quad));
#if CROSSOVER_DOTPROD || defined(__ARM_FEATURE_DOTPROD)
  return VInts{vdotq_s32(acc.raw, w, x)};
#else
  // Products of 128 · 127 fit 16 bits, sums of two as well; the pairs of pairs are added in 32.
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)));
  const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(w), vget_high_s8(x)));
  return VInts{
      vaddq_s32(acc.raw, vcombine_s32(vpadd_s32(vget_low_s32(low), vget_high_s32(low)),
                                      vpadd_s32(vget_low_s32(high), vget_high_s32(high))))};
#endif
}

#endif

#if HWY_TARGET != HWY_SCALAR

/// acc + a · b, b ≥ 0. kSmall: both fit 16 bits, so that one multiply-add of halves does it: b's
/// upper half is zero, and takes no part.
template <bool kSmall>
HWY_INLINE VInts AddProduct(VInts acc, VInts a, VInts b) {
#if HWY_ARCH_X86
  if constexpr (kSmall) {
#if HWY_TARGET == HWY_AVX3_DL
    return VInts{_mm512_dpwssd_epi32(acc.raw, a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX3
    return VInts{_mm512_add_epi32(acc.raw, _mm512_madd_epi16(a.raw, b.raw))};
#elif HWY_TARGET == HWY_AVX2 && CROSSOVER_DOTPROD
    return VInts{_mm256_dpwssd_avx_epi32(acc.raw, a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VInts{_mm256_add_epi32(acc.raw, _mm256_madd_epi16(a.raw, b.raw))};
#else
    return VInts{_mm_add_epi32(acc.raw, _mm_madd_epi16(a.raw, b.raw))};
#endif
  }
#endif
  return hn::Add(acc, hn::Mul(a, b));
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_LANE_DOT_INL_H_

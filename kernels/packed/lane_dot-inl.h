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

// Levels where bytes are multiplied by vpmaddubsw, in pairs that 16 bits add up.
#undef CROSSOVER_BYTE_PAIRS
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_SSE4 || \
    (HWY_TARGET == HWY_AVX2 && !CROSSOVER_DOTPROD)
#define CROSSOVER_BYTE_PAIRS 1
#else
#define CROSSOVER_BYTE_PAIRS 0
#endif

// Levels that unpack once for many tokens (byte_gemm-inl.h).
#undef CROSSOVER_BYTE_GEMM
#define CROSSOVER_BYTE_GEMM (HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR)

// Levels whose registers hold 16 rows.
#undef CROSSOVER_ROWS_16
#define CROSSOVER_ROWS_16 (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL)

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if CROSSOVER_BYTE_GEMM

using PackedShorts = hn::Repartition<int16_t, PackedBytes>;
using VShorts = hn::Vec<PackedShorts>;

/// Pairs of products of unsigned and signed bytes, added in 16 bits.
HWY_INLINE VShorts BytePairs(VBytes codes, VBytes x) {
#if CROSSOVER_ROWS_16
  return VShorts{_mm512_maddubs_epi16(codes.raw, x.raw)};
#elif HWY_TARGET == HWY_AVX2
  return VShorts{_mm256_maddubs_epi16(codes.raw, x.raw)};
#else
  return VShorts{_mm_maddubs_epi16(codes.raw, x.raw)};
#endif
}

/// Pairs of products of 16-bit integers, added in 32.
HWY_INLINE VInts ShortPairs(VShorts a, VShorts b) {
#if CROSSOVER_ROWS_16
  return VInts{_mm512_madd_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
  return VInts{_mm256_madd_epi16(a.raw, b.raw)};
#else
  return VInts{_mm_madd_epi16(a.raw, b.raw)};
#endif
}

#endif

#if HWY_TARGET == HWY_AVX3_DL || (HWY_TARGET == HWY_AVX2 && CROSSOVER_DOTPROD)

// vpdpbusd takes all unsigned bytes: codes in place, and 8-bit ones, need nothing done to them.
constexpr bool kAnyByte = true;

template <bool>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
#if CROSSOVER_ROWS_16
  return VInts{_mm512_dpbusd_epi32(acc.raw, codes.raw, _mm512_set1_epi32(quad))};
#else
  return VInts{_mm256_dpbusd_avx_epi32(acc.raw, codes.raw, _mm256_set1_epi32(quad))};
#endif
}

#elif CROSSOVER_BYTE_PAIRS

constexpr bool kAnyByte = false;

/// x with the sign of w.
HWY_INLINE VBytes WithSign(VBytes x, VBytes w) {
#if CROSSOVER_ROWS_16
  return VBytes{
      _mm512_mask_sub_epi8(x.raw, _mm512_movepi8_mask(w.raw), _mm512_setzero_si512(), x.raw)};
#elif HWY_TARGET == HWY_AVX2
  return VBytes{_mm256_sign_epi8(x.raw, w.raw)};
#else
  return VBytes{_mm_sign_epi8(x.raw, w.raw)};
#endif
}

HWY_INLINE VBytes Magnitudes(VBytes w) {
  const hn::RebindToSigned<PackedBytes> d;
  return hn::BitCast(PackedBytes(), hn::Abs(hn::BitCast(d, w)));
}

// w · x = |w| · (x with w's sign); two products of 128 · 127 just fit 16 bits.
template <bool kSigned>
HWY_INLINE VInts LaneDot(VInts acc, VBytes codes, int32_t quad) {
  VBytes x = hn::BitCast(PackedBytes(), hn::Set(PackedInts(), quad));
  if constexpr (kSigned) {
    x = WithSign(x, codes);
    codes = Magnitudes(codes);
  }
  const VShorts ones = hn::Set(PackedShorts(), int16_t{1});
  return hn::Add(acc, ShortPairs(BytePairs(codes, x), ones));
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

#if CROSSOVER_BYTE_GEMM

/// acc + a · b of both 16-bit halves of each dword.
HWY_INLINE VInts AddShortPairs(VInts acc, VInts a, VInts b) {
#if HWY_TARGET == HWY_AVX3_DL
  return VInts{_mm512_dpwssd_epi32(acc.raw, a.raw, b.raw)};
#elif CROSSOVER_BYTE_PAIRS
  const PackedShorts d16;
  return hn::Add(acc, ShortPairs(hn::BitCast(d16, a), hn::BitCast(d16, b)));
#else
  return VInts{_mm256_dpwssd_avx_epi32(acc.raw, a.raw, b.raw)};
#endif
}

#endif

#if HWY_TARGET != HWY_SCALAR

/// acc + a · b, b ≥ 0. kSmall: both fit 16 bits, so that one multiply-add of halves does it: b's
/// upper half is zero, and takes no part.
template <bool kSmall>
HWY_INLINE VInts AddProduct(VInts acc, VInts a, VInts b) {
#if CROSSOVER_BYTE_GEMM
  if constexpr (kSmall) return AddShortPairs(acc, a, b);
#endif
  return hn::Add(acc, hn::Mul(a, b));
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_LANE_DOT_INL_H_

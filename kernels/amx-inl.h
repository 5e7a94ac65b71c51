// For code that uses the tile units (AMX-BF16): the target attribute, what brings bfloat16 into
// tiles, and functions as exact as bfloat16 needs. Compiled at the AVX3_DL level only; a CPU with
// tiles has all of that.
#if defined(CROSSOVER_KERNELS_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_AMX_INL_H_
#undef CROSSOVER_KERNELS_AMX_INL_H_
#else
#define CROSSOVER_KERNELS_AMX_INL_H_
#endif

#include "kernels/simd-inl.h"

#undef CROSSOVER_TILES
#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

#include <immintrin.h>

// GCC adds this to what Highway's pragma says; clang forgets the pragma, and has to be told again.
#ifdef HWY_TARGET_STR
#define CROSSOVER_TILES __attribute__((target(HWY_TARGET_STR ",amx-tile,amx-bf16,avx512bf16")))
#else
#define CROSSOVER_TILES __attribute__((target("amx-tile,amx-bf16,avx512bf16")))
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// GCC 12 takes the undefined operand of the forms without a mask for a mistake.
constexpr __mmask16 kAllLanes = 0xffff;

/// 32 floats, rounded to bfloat16: those of `low` first. 1 op.
CROSSOVER_TILES HWY_INLINE __m512i BFloats(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/// The two halves of a register of 16-bit values, interleaved: a row of a B tile. 1 op.
CROSSOVER_TILES HWY_INLINE __m512i Interleave(__m512i halves) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, halves);
}

/// 2^x to 7e-6 of it, for what is rounded to bfloat16's 2e-3 next; below 2^-126 that (a denormal
/// costs an assist), infinity where it overflows; NaN stays NaN. 2^f on [-1/2, 1/2] by
/// interpolation at Chebyshev's nodes with 2^0 = 1 exactly; where |x| is too large to be split, the
/// polynomial is still positive. 10 ops.
CROSSOVER_TILES HWY_INLINE __m512 PowerOfTwo(__m512 x) {
  const __m512 round = _mm512_set1_ps(0x1.8p23f);
  // The second operand is what a comparison with NaN returns.
  x = _mm512_maskz_max_ps(kAllLanes, _mm512_set1_ps(-126.0f), x);
  const __m512 n = _mm512_sub_ps(_mm512_add_ps(x, round), round);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(0.009656710f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.055838283f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.24022530f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.69313673f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_maskz_scalef_ps(kAllLanes, p, n);
}

/// r[i] lane j ↔ r[j] lane i. 64 ops.
CROSSOVER_TILES HWY_INLINE void Transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_maskz_unpacklo_epi32(kAllLanes, r[i], r[i + 1]);
    t[i + 1] = _mm512_maskz_unpackhi_epi32(kAllLanes, r[i], r[i + 1]);
  }
  // Of four rows, every 128-bit lane now becomes a column of four.
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_maskz_unpacklo_epi64(0xff, t[i], t[i + 2]);
    r[i + 1] = _mm512_maskz_unpackhi_epi64(0xff, t[i], t[i + 2]);
    r[i + 2] = _mm512_maskz_unpacklo_epi64(0xff, t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_maskz_unpackhi_epi64(0xff, t[i + 1], t[i + 3]);
  }
  // Column 4·lane + i lies in lane `lane` of r[i], r[4 + i], r[8 + i], r[12 + i].
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_maskz_shuffle_i32x4(kAllLanes, r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_maskz_shuffle_i32x4(kAllLanes, r[8 + i], r[12 + i], 0x88);
    t[8 + i] = _mm512_maskz_shuffle_i32x4(kAllLanes, r[i], r[4 + i], 0xdd);
    t[12 + i] = _mm512_maskz_shuffle_i32x4(kAllLanes, r[8 + i], r[12 + i], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_maskz_shuffle_i32x4(kAllLanes, t[i], t[4 + i], 0x88);
    r[8 + i] = _mm512_maskz_shuffle_i32x4(kAllLanes, t[i], t[4 + i], 0xdd);
    r[4 + i] = _mm512_maskz_shuffle_i32x4(kAllLanes, t[8 + i], t[12 + i], 0x88);
    r[12 + i] = _mm512_maskz_shuffle_i32x4(kAllLanes, t[8 + i], t[12 + i], 0xdd);
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HWY_TARGET

#endif  // CROSSOVER_KERNELS_AMX_INL_H_

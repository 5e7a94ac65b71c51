// For code that uses the tile units (AMX-BF16): the target attribute, and what brings bfloat16
// into tiles. Compiled at the AVX3_DL level only; a CPU with tiles has all of that.
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

/// r[i] lane j ↔ r[j] lane i. 64 ops.
CROSSOVER_TILES HWY_INLINE void Transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  // Of four rows, every 128-bit lane now becomes a column of four.
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Column 4·lane + i lies in lane `lane` of r[i], r[4 + i], r[8 + i], r[12 + i].
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
    r[4 + i] = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88);
    r[12 + i] = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HWY_TARGET

#endif  // CROSSOVER_KERNELS_AMX_INL_H_

// The gated unit where its result becomes bfloat16: eight bits of it are kept, so an exponential
// of 17 bits and a reciprocal of 14 do, at a fifth of the exact one's time (kernels/rows.h).
#if defined(CROSSOVER_KERNELS_PACKED_GATED_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_GATED_TILE_INL_H_
#undef CROSSOVER_KERNELS_PACKED_GATED_TILE_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_GATED_TILE_INL_H_
#endif

#include <numbers>

#include "kernels/amx-inl.h"
#include "kernels/rows.h"
#include "kernels/vector_math.h"

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// f(gate) ⊙ up = gate / (1 + e^-a) · up, with a = gate for SiLU, and GELU's cubic (vector_math.h).
template <Gate kGate>
CROSSOVER_TILES HWY_INLINE __m512 FastGatedUnit(__m512 gate, __m512 up) {
  constexpr float kLog2E = std::numbers::log2e_v<float>;
  __m512 factor = _mm512_set1_ps(-kLog2E);
  if constexpr (kGate == Gate::kGelu) {
    factor = _mm512_fmadd_ps(_mm512_set1_ps(kGeluCubic * kLog2E), _mm512_mul_ps(gate, gate),
                             _mm512_set1_ps(kGeluLinear * kLog2E));
  }
  const __m512 e = PowerOfTwo(_mm512_mul_ps(gate, factor));
  const __m512 inverse = _mm512_maskz_rcp14_ps(kAllLanes, _mm512_add_ps(e, _mm512_set1_ps(1.0f)));
  return _mm512_mul_ps(_mm512_mul_ps(gate, inverse), up);
}

/// 16 tokens by 16 rows of both, as half an A tile (rows of 64 bytes).
template <Gate kGate>
CROSSOVER_TILES HWY_INLINE void StoreGatedTile(const float* gate, const float* up, uint8_t* tile) {
  for (size_t t = 0; t < 16; ++t) {
    const __m512 unit =
        FastGatedUnit<kGate>(_mm512_loadu_ps(gate + t * 16), _mm512_loadu_ps(up + t * 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(tile + t * 64),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(unit)));
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
#endif  // CROSSOVER_KERNELS_PACKED_GATED_TILE_INL_H_

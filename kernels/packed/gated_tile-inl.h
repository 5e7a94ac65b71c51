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

/// A token and 16 rows of both, as half a row of an A tile.
template <Gate kGate>
CROSSOVER_TILES HWY_INLINE void StoreGatedRow(const float* gate, const float* up, uint8_t* row) {
  const __m512 unit = FastGatedUnit<kGate>(_mm512_load_ps(gate), _mm512_load_ps(up));
  _mm256_store_si256(reinterpret_cast<__m256i*>(row),
                     reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(unit)));
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
#endif  // CROSSOVER_KERNELS_PACKED_GATED_TILE_INL_H_

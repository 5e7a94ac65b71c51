// F32: the bytes as they are.
#if defined(CROSSOVER_KERNELS_DECODE_F32_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_F32_INL_H_
#undef CROSSOVER_KERNELS_DECODE_F32_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_F32_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::F32> {
  static HWY_INLINE void ToFloat(const quant::F32::Block* blocks, size_t n, float* out) {
    std::memcpy(out, blocks, n * sizeof(float));
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_F32_INL_H_

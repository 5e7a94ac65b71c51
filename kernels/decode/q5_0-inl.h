// Q5_0: w = d·(q - 16).
#if defined(CROSSOVER_KERNELS_DECODE_Q5_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q5_0_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q5_0_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q5_0_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q5_0> {
  static constexpr size_t kGroup = 32;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q5_0::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    UnpackFiveBits(block.qs, block.qh, codes);
    *scales = HalfToFloat(block.d);
    *mins = 16.0f * *scales;
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q5_0_INL_H_

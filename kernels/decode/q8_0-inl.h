// Q8_0: w = d·q.
#if defined(CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q8_0> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::Q8_0::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    std::memcpy(codes, block.qs, 32);
    *scales = HalfToFloat(block.d);
    *mins = 0.0f;
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_

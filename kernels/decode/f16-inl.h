// F16: half precision, widened by the CPU where it can.
#if defined(CROSSOVER_KERNELS_DECODE_F16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_F16_INL_H_
#undef CROSSOVER_KERNELS_DECODE_F16_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_F16_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::F16> {
  static HWY_INLINE void ToFloat(const quant::F16::Block* blocks, size_t n, float* out) {
    const hn::ScalableTag<float> d;
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const auto* halves = reinterpret_cast<const uint16_t*>(blocks);
    size_t i = 0;
    for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
      hn::StoreU(HalvesToFloats(d, hn::LoadU(d16, halves + i)), d, out + i);
    }
    for (; i < n; ++i) out[i] = HalfToFloat(blocks[i].value);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_F16_INL_H_

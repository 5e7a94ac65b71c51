// BF16: the upper half of a float.
#if defined(CROSSOVER_KERNELS_DECODE_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_BF16_INL_H_
#undef CROSSOVER_KERNELS_DECODE_BF16_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_BF16_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::BF16> {
  static HWY_INLINE void ToFloat(const quant::BF16::Block* blocks, size_t n, float* out) {
    const hn::ScalableTag<float> d;
    const hn::RebindToUnsigned<decltype(d)> d32;
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const auto* bits = reinterpret_cast<const uint16_t*>(blocks);
    size_t i = 0;
    for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
      const auto wide = hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, bits + i)));
      hn::StoreU(hn::BitCast(d, wide), d, out + i);
    }
    for (; i < n; ++i) out[i] = blocks[i].value.ToFloat();
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_BF16_INL_H_

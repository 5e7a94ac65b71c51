// Formats that say how a block comes apart (quant/parts.h): w = scale · code, codes signed.
#if defined(CROSSOVER_KERNELS_DECODE_PARTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_PARTS_INL_H_
#undef CROSSOVER_KERNELS_DECODE_PARTS_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_PARTS_INL_H_
#endif

#include <algorithm>

#include "kernels/decode/decoder-inl.h"
#include "quant/parts.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <class F>
requires quant::HasParts<F>
struct Decoder<F> {
  static constexpr size_t kGroup = F::kGroup;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const typename F::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    constexpr size_t kGroups = F::kBlockWeights / kGroup;
    if constexpr (quant::IntegerParts<F>) {
      alignas(16) uint8_t small[kGroups];
      const quant::Half d = F::TakeApart(block, codes, small);
      ScaleAll<kGroups>(HalfToFloat(d) * quant::PowerDown(F::kDown), small, scales);
    } else {
      F::TakeApart(block, codes, scales);
    }
    std::fill_n(mins, kGroups, 0.0f);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_PARTS_INL_H_

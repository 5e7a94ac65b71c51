// The 6-bit scales and minima of Q4_K and Q5_K, four at a time; the layout is in quant/scale_min.h.
#if defined(CROSSOVER_KERNELS_DECODE_SCALE_MIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_SCALE_MIN_INL_H_
#undef CROSSOVER_KERNELS_DECODE_SCALE_MIN_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_SCALE_MIN_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// scales[k] = d·scale_k, mins[k] = dmin·min_k for k < 8.
HWY_INLINE void UnpackScaleMins(quant::Half d, quant::Half dmin, const uint8_t* packed,
                                float* scales, float* mins) {
  uint32_t words[3];
  std::memcpy(words, packed, 12);
  const uint64_t small[2] = {
      Join(words[0] & 0x3f3f3f3fu, (words[2] & 0x0f0f0f0fu) | ((words[0] >> 2) & 0x30303030u)),
      Join(words[1] & 0x3f3f3f3fu,
           ((words[2] >> 4) & 0x0f0f0f0fu) | ((words[1] >> 2) & 0x30303030u)),
  };
  const auto* bytes = reinterpret_cast<const uint8_t*>(small);
  ScaleAll<8>(HalfToFloat(d), bytes, scales);
  ScaleAll<8>(HalfToFloat(dmin), bytes + 8, mins);
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_SCALE_MIN_INL_H_

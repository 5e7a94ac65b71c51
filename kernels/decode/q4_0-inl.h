// Q4_0: w = d·(q - 8).
#if defined(CROSSOVER_KERNELS_DECODE_Q4_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q4_0_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q4_0_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q4_0_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q4_0_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q4_0_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q4_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 4, .offset = 8, .scales = PackedScales::kHalf};
  static HWY_INLINE void Read(const quant::Q4_0::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    raw.d = block.d;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q4_0> {
  static constexpr size_t kGroup = 32;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q4_0::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    UnpackNibbles(block.qs, codes);
    *scales = HalfToFloat(block.d);
    *mins = 8.0f * *scales;
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q4_0_INL_H_

// IQ4_NL: w = d·level[q].
#if defined(CROSSOVER_KERNELS_DECODE_IQ4_NL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_IQ4_NL_INL_H_
#undef CROSSOVER_KERNELS_DECODE_IQ4_NL_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_IQ4_NL_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_IQ4_NL_SOURCE_
#define CROSSOVER_KERNELS_DECODE_IQ4_NL_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::IQ4_NL> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 128, .scales = PackedScales::kHalf, .has_levels = true};
  static HWY_INLINE void Read(const quant::IQ4_NL::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    raw.d = block.d;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::IQ4_NL> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::IQ4_NL::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    UnpackLevels(quant::kIq4Levels.data(), block.qs, codes);
    *scales = HalfToFloat(block.d);
    *mins = 0.0f;
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_IQ4_NL_INL_H_

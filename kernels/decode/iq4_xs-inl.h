// IQ4_XS: w = d·(scale - 32)·level[q].
#if defined(CROSSOVER_KERNELS_DECODE_IQ4_XS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_IQ4_XS_INL_H_
#undef CROSSOVER_KERNELS_DECODE_IQ4_XS_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_IQ4_XS_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_IQ4_XS_SOURCE_
#define CROSSOVER_KERNELS_DECODE_IQ4_XS_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::IQ4_XS> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 128, .scales = PackedScales::kSixBits, .group = 32, .has_levels = true};
  static HWY_INLINE void Read(const quant::IQ4_XS::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t k = 0; k < 8; ++k) {
      ReadNibbles(block.qs + 16 * k, 16, codes + 32 * k);
      const int high = block.scales_h[k / 4] >> (2 * (k % 4)) & 3;
      raw.scales[k] =
          static_cast<uint8_t>((block.scales_l[k / 2] >> (4 * (k & 1)) & 15) | high << 4);
    }
    raw.d = block.d;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::IQ4_XS> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::IQ4_XS::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    const uint32_t high = block.scales_h[0] | uint32_t{block.scales_h[1]} << 8;
    int8_t small[8];
    for (size_t k = 0; k < 8; ++k) {
      UnpackLevels(quant::kIq4Levels.data(), block.qs + 16 * k, codes + 32 * k);
      const uint32_t low = (block.scales_l[k / 2] >> (4 * (k & 1))) & 15;
      small[k] = static_cast<int8_t>(static_cast<int>(low | ((high >> (2 * k)) & 3) << 4) - 32);
      mins[k] = 0.0f;
    }
    ScaleAll<8>(HalfToFloat(block.d), small, scales);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_IQ4_XS_INL_H_

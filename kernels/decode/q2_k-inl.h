// Q2_K: w = d·scale·q - dmin·min.
#if defined(CROSSOVER_KERNELS_DECODE_Q2_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q2_K_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q2_K_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q2_K_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q2_K_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q2_K_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q2_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 2, .offset = 0, .scales = PackedScales::kNibblePairs, .group = 16};
  static HWY_INLINE void Read(const quant::Q2_K::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t k = 0; k < 8; ++k) ReadTwoBits(block.qs, k, codes + 32 * k);
    for (size_t k = 0; k < 16; ++k) {
      raw.scales[k] = block.scales[k] & 15;
      raw.mins[k] = block.scales[k] >> 4;
    }
    raw.d = block.d;
    raw.m = block.dmin;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q2_K> {
  static constexpr size_t kGroup = 16;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q2_K::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    const auto mask = hn::Set(d, 3);
    for (size_t half = 0; half < 2; ++half) {
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        const auto q = hn::LoadU(d, block.qs + 32 * half + i);
        uint8_t* out = codes + 128 * half + i;
        hn::StoreU(hn::And(q, mask), d, out);
        hn::StoreU(hn::And(hn::ShiftRight<2>(q), mask), d, out + 32);
        hn::StoreU(hn::And(hn::ShiftRight<4>(q), mask), d, out + 64);
        hn::StoreU(hn::ShiftRight<6>(q), d, out + 96);
      }
    }
    alignas(32) uint8_t small[32];  // 16 scales, 16 minima
    UnpackNibbles(block.scales, small);
    ScaleAll<16>(HalfToFloat(block.d), small, scales);
    ScaleAll<16>(HalfToFloat(block.dmin), small + 16, mins);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q2_K_INL_H_

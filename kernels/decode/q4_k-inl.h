// Q4_K: w = d·scale·q - dmin·min.
#if defined(CROSSOVER_KERNELS_DECODE_Q4_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q4_K_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q4_K_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q4_K_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/decode/scale_min-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q4_K_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q4_K_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q4_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 0, .scales = PackedScales::kSixBitPairs, .group = 32};
  static HWY_INLINE void Read(const quant::Q4_K::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t i = 0; i < 4; ++i) ReadNibbles(block.qs + 32 * i, 32, codes + 64 * i);
    ReadScaleMins(block.scales, raw);
    raw.d = block.d;
    raw.m = block.dmin;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q4_K> {
  static constexpr size_t kGroup = 32;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q4_K::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    for (size_t pair = 0; pair < 4; ++pair) {
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        const auto q = hn::LoadU(d, block.qs + 32 * pair + i);
        hn::StoreU(hn::And(q, hn::Set(d, 15)), d, codes + 64 * pair + i);
        hn::StoreU(hn::ShiftRight<4>(q), d, codes + 64 * pair + 32 + i);
      }
    }
    UnpackScaleMins(block.d, block.dmin, block.scales, scales, mins);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q4_K_INL_H_

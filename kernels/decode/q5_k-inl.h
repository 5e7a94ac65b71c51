// Q5_K: w = d·scale·q - dmin·min.
#if defined(CROSSOVER_KERNELS_DECODE_Q5_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q5_K_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q5_K_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q5_K_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/decode/scale_min-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q5_K_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q5_K_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q5_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 5, .offset = 0, .scales = PackedScales::kSixBitPairs, .group = 32};
  static HWY_INLINE void Read(const quant::Q5_K::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t i = 0; i < 4; ++i) ReadNibbles(block.qs + 32 * i, 32, codes + 64 * i);
    for (size_t k = 0; k < 8; ++k) AddBits<4>(block.qh, k, 1, codes + 32 * k);
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
struct Decoder<quant::Q5_K> {
  static constexpr size_t kGroup = 32;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q5_K::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
      auto high = hn::LoadU(d, block.qh + i);
      for (size_t pair = 0; pair < 4; ++pair) {
        const auto q = hn::LoadU(d, block.qs + 32 * pair + i);
        const auto even = hn::ShiftLeft<4>(hn::And(high, hn::Set(d, 1)));
        const auto odd = hn::ShiftLeft<3>(hn::And(high, hn::Set(d, 2)));
        hn::StoreU(hn::Or(hn::And(q, hn::Set(d, 15)), even), d, codes + 64 * pair + i);
        hn::StoreU(hn::Or(hn::ShiftRight<4>(q), odd), d, codes + 64 * pair + 32 + i);
        high = hn::ShiftRight<2>(high);
      }
    }
    UnpackScaleMins(block.d, block.dmin, block.scales, scales, mins);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q5_K_INL_H_

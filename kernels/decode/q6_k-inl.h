// Q6_K: w = d·scale·(q - 32).
#if defined(CROSSOVER_KERNELS_DECODE_Q6_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q6_K_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q6_K_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q6_K_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q6_K_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q6_K_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q6_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 6, .offset = 32, .scales = PackedScales::kBytes, .group = 16};
  static HWY_INLINE void Read(const quant::Q6_K::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t h = 0; h < 2; ++h) {
      ReadNibbles(block.ql + 64 * h, 64, codes + 128 * h);
      for (size_t j = 0; j < 4; ++j) {
        AddBits<4>(block.qh + 32 * h, 2 * j, 3, codes + 128 * h + 32 * j);
      }
    }
    for (size_t k = 0; k < 16; ++k) raw.scales[k] = static_cast<uint8_t>(block.scales[k] + 128);
    raw.d = block.d;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q6_K> {
  static constexpr size_t kGroup = 16;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q6_K::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    const auto nibble = hn::Set(d, 15);
    const auto bits = hn::Set(d, 0x30);
    for (size_t half = 0; half < 2; ++half) {
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        const auto even = hn::LoadU(d, block.ql + 64 * half + i);
        const auto odd = hn::LoadU(d, block.ql + 64 * half + 32 + i);
        const auto high = hn::LoadU(d, block.qh + 32 * half + i);
        uint8_t* out = codes + 128 * half + i;
        const auto high0 = hn::And(hn::ShiftLeft<4>(high), bits);
        const auto high1 = hn::And(hn::ShiftLeft<2>(high), bits);
        const auto high2 = hn::And(high, bits);
        const auto high3 = hn::And(hn::ShiftRight<2>(high), bits);
        hn::StoreU(hn::Or(hn::And(even, nibble), high0), d, out);
        hn::StoreU(hn::Or(hn::And(odd, nibble), high1), d, out + 32);
        hn::StoreU(hn::Or(hn::ShiftRight<4>(even), high2), d, out + 64);
        hn::StoreU(hn::Or(hn::ShiftRight<4>(odd), high3), d, out + 96);
      }
    }
    ScaleAll<16>(HalfToFloat(block.d), block.scales, scales);
    ScaleAll<16>(32.0f * HalfToFloat(block.d), block.scales, mins);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q6_K_INL_H_

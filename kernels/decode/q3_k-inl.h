// Q3_K: w = d·(scale - 32)·(q - 4).
#if defined(CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q3_K> {
  static constexpr size_t kGroup = 16;
  using Code = uint8_t;
  static constexpr bool kHasMin = true;

  static HWY_INLINE void Unpack(const quant::Q3_K::Block& block, uint8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    const auto low_mask = hn::Set(d, 3);
    const auto one = hn::Set(d, 1);
    for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
      auto high = hn::LoadU(d, block.hmask + i);
      for (size_t half = 0; half < 2; ++half) {
        auto low = hn::LoadU(d, block.qs + 32 * half + i);
        for (size_t j = 0; j < 4; ++j) {
          const auto q = hn::Or(hn::And(low, low_mask), hn::ShiftLeft<2>(hn::And(high, one)));
          hn::StoreU(q, d, codes + 128 * half + 32 * j + i);
          low = hn::ShiftRight<2>(low);
          high = hn::ShiftRight<1>(high);
        }
      }
    }
    uint64_t small[2];
    UnpackScales(block.scales, small);
    const auto* bytes = reinterpret_cast<const int8_t*>(small);
    ScaleAll<16>(HalfToFloat(block.d), bytes, scales);
    ScaleAll<16>(4.0f * HalfToFloat(block.d), bytes, mins);
  }

  // Four bytes at a time; see the layout in quant/q3_k/q3_k.h.
  static HWY_INLINE void UnpackScales(const uint8_t* packed, uint64_t out[2]) {
    uint32_t words[3];
    std::memcpy(words, packed, 12);
    const auto four = [&](uint32_t word, uint32_t shift) {
      const uint32_t high = (words[2] >> shift) & 0x03030303u;
      return (word & 0x0f0f0f0fu) | high << 4;
    };
    out[0] = Join(four(words[0], 0), four(words[1], 2));
    out[1] = Join(four(words[0] >> 4, 4), four(words[1] >> 4, 6));
    // Eight times s - 32: flipping bit 5 makes it the sign of six bits, which is then extended.
    for (size_t i = 0; i < 2; ++i) {
      out[i] ^= 0x2020202020202020u;
      const uint64_t sign = out[i] & 0x2020202020202020u;
      out[i] |= sign << 1 | sign << 2;
    }
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_

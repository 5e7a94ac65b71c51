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
    int8_t small[16];
    UnpackScales(block.scales, small);
    ScaleAll(HalfToFloat(block.d), small, 16, scales);
    ScaleAll(4.0f * HalfToFloat(block.d), small, 16, mins);
  }

  // Four bytes at a time; see the layout in quant/q3_k/q3_k.h.
  static HWY_INLINE void UnpackScales(const uint8_t* packed, int8_t* out) {
    uint32_t words[3];
    std::memcpy(words, packed, 12);
    for (uint32_t k = 0; k < 4; ++k) {
      const uint32_t low = (words[k & 1] >> (k / 2 * 4)) & 0x0f0f0f0fu;
      const uint32_t high = (words[2] >> (2 * k)) & 0x03030303u;
      const uint32_t scales = low | high << 4;
      std::memcpy(out + 4 * k, &scales, 4);
    }
    for (size_t k = 0; k < 16; ++k) out[k] = static_cast<int8_t>(out[k] - 32);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_

// Q8_0: w = d·q.
#if defined(CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q8_0_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q8_0_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q8_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 8, .offset = 128, .scales = PackedScales::kHalf};
  static HWY_INLINE void Read(const quant::Q8_0::Block& block, uint8_t* codes, RawScales& raw) {
    const auto* quants = reinterpret_cast<const uint8_t*>(block.qs);
    for (size_t i = 0; i < 32; i += 8) {
      StoreWord(LoadWord(quants + i) ^ 128 * kEachByte, codes + i);
    }
    raw.d = block.d;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q8_0> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::Q8_0::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    std::memcpy(codes, block.qs, 32);
    *scales = HalfToFloat(block.d);
    *mins = 0.0f;
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q8_0_INL_H_

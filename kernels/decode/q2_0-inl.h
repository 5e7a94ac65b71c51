// Q2_0: w = d·(q - 1).
#if defined(CROSSOVER_KERNELS_DECODE_Q2_0_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q2_0_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q2_0_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q2_0_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q2_0_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q2_0_SOURCE_
namespace crossover::kernels {

/// Four codes a byte, in order, to a byte each.
HWY_INLINE void SpreadTwoBits(const uint8_t* packed, size_t bytes, uint8_t* codes) {
  for (size_t j = 0; j < bytes; ++j) {
    const uint32_t four = packed[j];
    const uint32_t word =
        (four | four << 6 | four << 12 | four << 18) & uint32_t{3 * kEachByte & 0xffffffff};
    std::memcpy(codes + 4 * j, &word, sizeof(word));
  }
}

// The packed form of two bits subtracts 2: q - 1 = -((3 - q) - 2).
template <>
struct PackedSource<quant::Q2_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 2, .offset = 2, .scales = PackedScales::kHalf};
  static HWY_INLINE void Read(const quant::Q2_0::Block& block, uint8_t* codes, RawScales& raw) {
    SpreadTwoBits(block.qs, 16, codes);
    for (size_t i = 0; i < 64; i += 8) {
      StoreWord(LoadWord(codes + i) ^ 3 * kEachByte, codes + i);
    }
    raw.d = {static_cast<uint16_t>(block.d.bits ^ 0x8000u)};
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <>
struct Decoder<quant::Q2_0> {
  static HWY_INLINE void ToFloat(const quant::Q2_0::Block* blocks, size_t n, float* out) {
    constexpr size_t kWeights = quant::Q2_0::kBlockWeights;
    alignas(64) uint8_t codes[kWeights];
    for (size_t i = 0; i < n; i += kWeights, ++blocks) {
      SpreadTwoBits(blocks->qs, sizeof(blocks->qs), codes);
      CodesToFloats(codes, kWeights, HalfToFloat(blocks->d), 1.0f, out + i);
    }
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_Q2_0_INL_H_

// Q3_K: w = d·(scale - 32)·(q - 4).
#if defined(CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_
#undef CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_Q3_K_INL_H_
#endif

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_Q3_K_SOURCE_
#define CROSSOVER_KERNELS_DECODE_Q3_K_SOURCE_
namespace crossover::kernels {

template <>
struct PackedSource<quant::Q3_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 3, .offset = 4, .scales = PackedScales::kSixBits, .group = 16};
  static HWY_INLINE void Read(const quant::Q3_K::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t k = 0; k < 8; ++k) {
      ReadTwoBits(block.qs, k, codes + 32 * k);
      AddBits<2>(block.hmask, k, 1, codes + 32 * k);
    }
    for (size_t k = 0; k < 16; ++k) {
      const int low = k < 8 ? block.scales[k] & 15 : block.scales[k - 8] >> 4;
      raw.scales[k] =
          static_cast<uint8_t>(low | (block.scales[8 + k % 4] >> (2 * (k / 4)) & 3) << 4);
    }
    raw.d = block.d;
  }
};

}  // namespace crossover::kernels
#endif

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
    for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
      const auto high = hn::LoadU(d, block.hmask + i);
      const auto low0 = hn::LoadU(d, block.qs + i);
      const auto low1 = hn::LoadU(d, block.qs + 32 + i);
      Store32<0>(d, low0, high, codes + i);
      Store32<1>(d, low0, high, codes + i);
      Store32<2>(d, low0, high, codes + i);
      Store32<3>(d, low0, high, codes + i);
      Store32<4>(d, low1, high, codes + i);
      Store32<5>(d, low1, high, codes + i);
      Store32<6>(d, low1, high, codes + i);
      Store32<7>(d, low1, high, codes + i);
    }
    uint64_t small[2];
    UnpackScales(block.scales, small);
    const auto* bytes = reinterpret_cast<const int8_t*>(small);
    ScaleAll<16>(HalfToFloat(block.d), bytes, scales);
    ScaleAll<16>(4.0f * HalfToFloat(block.d), bytes, mins);
  }

  // Codes 32k …: two bits at 2·(k % 4) of `low`, and bit k of `high`, moved to bit 2. 6 ops.
  template <int k, class V>
  static HWY_INLINE void Store32(Bytes d, V low, V high, uint8_t* codes) {
    const auto bits = hn::And(hn::ShiftRight<2 * (k % 4)>(low), hn::Set(d, 3));
    const auto moved =
        hn::ShiftRight<(k > 2 ? k - 2 : 0)>(hn::ShiftLeft<(k < 2 ? 2 - k : 0)>(high));
    hn::StoreU(hn::Or(bits, hn::And(moved, hn::Set(d, 4))), d, codes + 32 * k);
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

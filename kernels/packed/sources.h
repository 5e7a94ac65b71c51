// How each format's block comes apart for packing: codes in element order, sub-block scales and
// minima as small integers, nothing multiplied. One specialisation a format.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/packed/spec.h"
#include "quant/format_list.h"
#include "quant/iq4_table.h"
#include "quant/scale_min.h"

namespace crossover::kernels {

/// What a block holds before any arithmetic.
struct RawBlock {
  uint8_t codes[256];
  uint8_t scales[16];  // with PackedSpec::scale_bias()
  uint8_t mins[16];
  quant::Half d;
  quant::Half m;
};

/// Formats without a specialisation have no packed form.
template <class F>
struct PackedSource {
  static constexpr bool kExists = false;
};

inline void ReadNibbles(const uint8_t* packed, size_t n, uint8_t* codes) {
  for (size_t i = 0; i < n; ++i) {
    codes[i] = packed[i] & 15;
    codes[n + i] = packed[i] >> 4;
  }
}

/// codes[i] += 16 where bit i of the 32 is set.
inline void ReadFifthBits(const uint8_t* bits, uint8_t* codes) {
  uint32_t word;
  std::memcpy(&word, bits, 4);
  for (size_t i = 0; i < 32; ++i) codes[i] |= static_cast<uint8_t>((word >> i & 1) << 4);
}

inline void ReadScaleMins(const uint8_t* packed, RawBlock& raw) {
  for (size_t k = 0; k < 8; ++k) {
    const quant::ScaleMin pair = quant::UnpackScaleMin(packed, k);
    raw.scales[k] = pair.scale;
    raw.mins[k] = pair.min;
  }
}

template <>
struct PackedSource<quant::Q4_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 4, .offset = 8, .scales = PackedScales::kHalf};
  static void Read(const quant::Q4_0::Block& block, RawBlock& raw) {
    ReadNibbles(block.qs, 16, raw.codes);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::Q4_1> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 4, .offset = 0, .scales = PackedScales::kHalfAndMin};
  static void Read(const quant::Q4_1::Block& block, RawBlock& raw) {
    ReadNibbles(block.qs, 16, raw.codes);
    raw.d = block.d;
    raw.m = block.m;
  }
};

template <>
struct PackedSource<quant::Q5_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 5, .offset = 16, .scales = PackedScales::kHalf};
  static void Read(const quant::Q5_0::Block& block, RawBlock& raw) {
    ReadNibbles(block.qs, 16, raw.codes);
    ReadFifthBits(block.qh, raw.codes);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::Q5_1> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 5, .offset = 0, .scales = PackedScales::kHalfAndMin};
  static void Read(const quant::Q5_1::Block& block, RawBlock& raw) {
    ReadNibbles(block.qs, 16, raw.codes);
    ReadFifthBits(block.qh, raw.codes);
    raw.d = block.d;
    raw.m = block.m;
  }
};

template <>
struct PackedSource<quant::Q8_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 8, .offset = 128, .scales = PackedScales::kHalf};
  static void Read(const quant::Q8_0::Block& block, RawBlock& raw) {
    for (size_t i = 0; i < 32; ++i) raw.codes[i] = static_cast<uint8_t>(block.qs[i] + 128);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::IQ4_NL> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 128, .scales = PackedScales::kHalf, .has_levels = true};
  static void Read(const quant::IQ4_NL::Block& block, RawBlock& raw) {
    ReadNibbles(block.qs, 16, raw.codes);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::IQ4_XS> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 128, .scales = PackedScales::kSixBits, .group = 32, .has_levels = true};
  static void Read(const quant::IQ4_XS::Block& block, RawBlock& raw) {
    for (size_t k = 0; k < 8; ++k) {
      ReadNibbles(block.qs + 16 * k, 16, raw.codes + 32 * k);
      const int high = block.scales_h[k / 4] >> (2 * (k % 4)) & 3;
      raw.scales[k] =
          static_cast<uint8_t>((block.scales_l[k / 2] >> (4 * (k & 1)) & 15) | high << 4);
    }
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::Q2_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 2, .offset = 0, .scales = PackedScales::kNibblePairs, .group = 16};
  static void Read(const quant::Q2_K::Block& block, RawBlock& raw) {
    for (size_t e = 0; e < 256; ++e) {
      raw.codes[e] = block.qs[32 * (e / 128) + e % 32] >> (2 * (e / 32 % 4)) & 3;
    }
    for (size_t k = 0; k < 16; ++k) {
      raw.scales[k] = block.scales[k] & 15;
      raw.mins[k] = block.scales[k] >> 4;
    }
    raw.d = block.d;
    raw.m = block.dmin;
  }
};

template <>
struct PackedSource<quant::Q3_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 3, .offset = 4, .scales = PackedScales::kSixBits, .group = 16};
  static void Read(const quant::Q3_K::Block& block, RawBlock& raw) {
    for (size_t e = 0; e < 256; ++e) {
      const int low = block.qs[32 * (e / 128) + e % 32] >> (2 * (e / 32 % 4)) & 3;
      raw.codes[e] = static_cast<uint8_t>(low | (block.hmask[e % 32] >> (e / 32) & 1) << 2);
    }
    for (size_t k = 0; k < 16; ++k) {
      const int low = k < 8 ? block.scales[k] & 15 : block.scales[k - 8] >> 4;
      raw.scales[k] =
          static_cast<uint8_t>(low | (block.scales[8 + k % 4] >> (2 * (k / 4)) & 3) << 4);
    }
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::Q4_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 0, .scales = PackedScales::kSixBitPairs, .group = 32};
  static void Read(const quant::Q4_K::Block& block, RawBlock& raw) {
    for (size_t i = 0; i < 4; ++i) ReadNibbles(block.qs + 32 * i, 32, raw.codes + 64 * i);
    ReadScaleMins(block.scales, raw);
    raw.d = block.d;
    raw.m = block.dmin;
  }
};

template <>
struct PackedSource<quant::Q5_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 5, .offset = 0, .scales = PackedScales::kSixBitPairs, .group = 32};
  static void Read(const quant::Q5_K::Block& block, RawBlock& raw) {
    for (size_t i = 0; i < 4; ++i) ReadNibbles(block.qs + 32 * i, 32, raw.codes + 64 * i);
    for (size_t e = 0; e < 256; ++e) {
      raw.codes[e] |= static_cast<uint8_t>((block.qh[e % 32] >> (e / 32) & 1) << 4);
    }
    ReadScaleMins(block.scales, raw);
    raw.d = block.d;
    raw.m = block.dmin;
  }
};

template <>
struct PackedSource<quant::Q6_K> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 6, .offset = 32, .scales = PackedScales::kBytes, .group = 16};
  static void Read(const quant::Q6_K::Block& block, RawBlock& raw) {
    for (size_t e = 0; e < 256; ++e) {
      const size_t h = e / 128;
      const size_t j = e / 32 % 4;
      const int low = block.ql[64 * h + 32 * (j & 1) + e % 32] >> (j < 2 ? 0 : 4) & 15;
      raw.codes[e] = static_cast<uint8_t>(low | (block.qh[32 * h + e % 32] >> (2 * j) & 3) << 4);
    }
    for (size_t k = 0; k < 16; ++k) raw.scales[k] = static_cast<uint8_t>(block.scales[k] + 128);
    raw.d = block.d;
  }
};

template <size_t kBits, size_t kGroup, bool kZero>
struct PackedSource<quant::G<kBits, kGroup, kZero>> {
  using Format = quant::G<kBits, kGroup, kZero>;
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = kBits,
      .offset = kZero && kBits < 8 ? 0 : size_t{1} << (kBits - 1),
      .scales = kZero ? PackedScales::kHalfAndZero : PackedScales::kHalf};
  static void Read(const typename Format::Block& block, RawBlock& raw) {
    Format::Unpack(block, raw.codes);
    if constexpr (Format::kSigned) {
      for (size_t i = 0; i < kGroup; ++i) raw.codes[i] ^= 0x80;
    }
    raw.d = block.d;
    if constexpr (kZero) raw.m = block.z;
  }
};

/// A row per format: select.template operator()<what kernels are compiled for>(), null where it has
/// no packed form.
template <class Fn, class Select>
constexpr std::array<Fn, quant::AllFormats::kSize> PackedFunctions(Select select) {
  std::array<Fn, quant::AllFormats::kSize> table{};
  size_t n = 0;
  quant::ForEachFormat([&]<class F>() {
    if constexpr (PackedSource<F>::kExists) {
      table[n] = select.template operator()<CompiledSpec(PackedSource<F>::kSpec)>();
    }
    ++n;
  });
  return table;
}

}  // namespace crossover::kernels

// How each format's block comes apart for packing: codes in element order, sub-block scales and
// minima as small integers, nothing multiplied. One specialisation a format. All is inlined into
// pack.cc, so that loops become vectors of each target.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <hwy/base.h>

#include "kernels/packed/spec.h"
#include "quant/format_list.h"
#include "quant/iq4_table.h"
#include "quant/scale_min.h"

namespace crossover::kernels {

/// What a block holds beside its codes, before any arithmetic.
struct RawScales {
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

// Eight codes are a word: loops over bytes are what compilers make the strangest vectors of.
inline constexpr uint64_t kEachByte = 0x0101010101010101u;

HWY_INLINE uint64_t LoadWord(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

HWY_INLINE void StoreWord(uint64_t word, uint8_t* bytes) {
  std::memcpy(bytes, &word, sizeof(word));
}

/// n: a multiple of 8.
HWY_INLINE void ReadNibbles(const uint8_t* packed, size_t n, uint8_t* codes) {
  for (size_t i = 0; i < n; i += 8) {
    const uint64_t word = LoadWord(packed + i);
    StoreWord(word & 15 * kEachByte, codes + i);
    StoreWord(word >> 4 & 15 * kEachByte, codes + n + i);
  }
}

/// codes[i] += 16 where bit i of the 32 is set.
HWY_INLINE void ReadFifthBits(const uint8_t* bits, uint8_t* codes) {
  for (size_t i = 0; i < 4; ++i) {
    // Byte k keeps bit k alone, which then carries into the byte's top bit.
    const uint64_t one = bits[i] * kEachByte & 0x8040201008040201u;
    const uint64_t top = (one + 127 * kEachByte) & 128 * kEachByte;
    StoreWord(LoadWord(codes + 8 * i) | top >> 3, codes + 8 * i);
  }
}

/// The two-bit codes of Q2_K and Q3_K: 32 bytes hold four runs of 32.
HWY_INLINE void ReadTwoBits(const uint8_t* packed, size_t run, uint8_t* codes) {
  for (size_t i = 0; i < 32; i += 8) {
    const uint64_t word = LoadWord(packed + 32 * (run / 4) + i);
    StoreWord(word >> (2 * (run % 4)) & 3 * kEachByte, codes + i);
  }
}

/// codes[i] |= the bits of `mask` from bit `from` of packed[i], at kTo.
template <size_t kTo>
HWY_INLINE void AddBits(const uint8_t* packed, size_t from, uint64_t mask, uint8_t* codes) {
  for (size_t i = 0; i < 32; i += 8) {
    const uint64_t bits = LoadWord(packed + i) >> from & mask * kEachByte;
    StoreWord(LoadWord(codes + i) | bits << kTo, codes + i);
  }
}

HWY_INLINE void ReadScaleMins(const uint8_t* packed, RawScales& raw) {
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
  static HWY_INLINE void Read(const quant::Q4_0::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::Q4_1> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 4, .offset = 0, .scales = PackedScales::kHalfAndMin};
  static HWY_INLINE void Read(const quant::Q4_1::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    raw.d = block.d;
    raw.m = block.m;
  }
};

template <>
struct PackedSource<quant::Q5_0> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 5, .offset = 16, .scales = PackedScales::kHalf};
  static HWY_INLINE void Read(const quant::Q5_0::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    ReadFifthBits(block.qh, codes);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::Q5_1> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{.bits = 5, .offset = 0, .scales = PackedScales::kHalfAndMin};
  static HWY_INLINE void Read(const quant::Q5_1::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    ReadFifthBits(block.qh, codes);
    raw.d = block.d;
    raw.m = block.m;
  }
};

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

template <>
struct PackedSource<quant::IQ4_NL> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 128, .scales = PackedScales::kHalf, .has_levels = true};
  static HWY_INLINE void Read(const quant::IQ4_NL::Block& block, uint8_t* codes, RawScales& raw) {
    ReadNibbles(block.qs, 16, codes);
    raw.d = block.d;
  }
};

template <>
struct PackedSource<quant::IQ4_XS> {
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = 4, .offset = 128, .scales = PackedScales::kSixBits, .group = 32, .has_levels = true};
  static HWY_INLINE void Read(const quant::IQ4_XS::Block& block, uint8_t* codes, RawScales& raw) {
    for (size_t k = 0; k < 8; ++k) {
      ReadNibbles(block.qs + 16 * k, 16, codes + 32 * k);
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

/// Planes are words already. Inlined, GCC 12 makes vectors of them that take twice the time.
template <class F>
HWY_NOINLINE void UnpackG(const typename F::Block& block, uint8_t* codes) {
  F::Unpack(block, codes);
}

template <size_t kBits, size_t kGroup, bool kZero>
struct PackedSource<quant::G<kBits, kGroup, kZero>> {
  using Format = quant::G<kBits, kGroup, kZero>;
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = kBits,
      .offset = kZero && kBits < 8 ? 0 : size_t{1} << (kBits - 1),
      .scales = kZero ? PackedScales::kHalfAndZero : PackedScales::kHalf};
  static HWY_INLINE void Read(const typename Format::Block& block, uint8_t* codes, RawScales& raw) {
    UnpackG<Format>(block, codes);
    if constexpr (Format::kSigned) {
      for (size_t i = 0; i < kGroup; i += 8) {
        StoreWord(LoadWord(codes + i) ^ 128 * kEachByte, codes + i);
      }
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

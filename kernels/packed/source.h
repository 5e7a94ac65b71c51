// How each format's block comes apart for packing: codes in element order, sub-block scales and
// minima as small integers, nothing multiplied. A format says it beside its decoder
// (kernels/decode/). All is inlined into pack.cc, so that loops become vectors of each target.
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

}  // namespace crossover::kernels

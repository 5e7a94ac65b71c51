// A block taken apart. A format states its layout once, as the function that takes a block apart
// into small integers and their scales, in element order; what reads it follows from that: the
// scalar decoder here, the vectors and products of kernels/.
//
// A format of 256 weights whose scales are small integers has
//   kGroup   weights that share a scale: 16 or 32
//   kDown    w[e] = d · 2^-kDown · scales[e / kGroup] · codes[e]
//   Half TakeApart(block, int8_t codes[256], uint8_t scales[256 / kGroup])   returns d
// and any other one
//   kGroup
//   void TakeApart(block, int8_t codes[kBlockWeights], float scales[kBlockWeights / kGroup])
// Codes are at least -127. Each product is exact in a float (11 bits of d, 5 of a scale, 6 of a
// code), so that no order of multiplication changes a bit.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quant/half.h"

namespace crossover::quant {

template <class T>
concept IntegerParts = requires(const typename T::Block& block, int8_t* codes, uint8_t* scales) {
  { T::kDown } -> std::convertible_to<int>;
  { T::TakeApart(block, codes, scales) } -> std::same_as<Half>;
};

template <class T>
concept FloatParts = requires(const typename T::Block& block, int8_t* codes, float* scales) {
  T::TakeApart(block, codes, scales);
};

template <class T>
concept HasParts = IntegerParts<T> || FloatParts<T>;

/// 2^-down.
constexpr float PowerDown(int down) { return 1.0f / static_cast<float>(1 << down); }

/// The scales as floats, however the format keeps them.
template <HasParts T>
inline void TakeApartToFloat(const typename T::Block& block, int8_t* codes, float* scales) {
  if constexpr (IntegerParts<T>) {
    constexpr size_t kGroups = T::kBlockWeights / T::kGroup;
    uint8_t small[kGroups];
    const float d = T::TakeApart(block, codes, small).ToFloat() * PowerDown(T::kDown);
    for (size_t g = 0; g < kGroups; ++g) scales[g] = d * static_cast<float>(small[g]);
  } else {
    T::TakeApart(block, codes, scales);
  }
}

template <HasParts T>
void DecodeParts(const typename T::Block& block, float* out) {
  int8_t codes[T::kBlockWeights];
  float scales[T::kBlockWeights / T::kGroup];
  TakeApartToFloat<T>(block, codes, scales);
  for (size_t e = 0; e < T::kBlockWeights; ++e) {
    out[e] = scales[e / T::kGroup] * static_cast<float>(codes[e]);
  }
}

// ---- Eight codes are a word, the first in its lowest byte.

inline constexpr uint64_t kOneEach = 0x0101010101010101u;

// The compiler's own memcpy: where buffers are checked (_FORTIFY_SOURCE), std::memcpy may stay a
// call, which takes ten times as long as the word.

template <class T>
[[gnu::always_inline]] inline T ReadAs(const uint8_t* bytes) {
  T value;
  __builtin_memcpy(&value, bytes, sizeof(value));
  return value;
}

[[gnu::always_inline]] inline void WriteWord(uint64_t word, int8_t* codes) {
  __builtin_memcpy(codes, &word, sizeof(word));
}

/// Minus one from each byte; what a byte lacks is not borrowed from the next.
inline uint64_t MinusOneEach(uint64_t word) {
  constexpr uint64_t kTop = 0x80 * kOneEach;
  return ((word | kTop) - kOneEach) ^ (~word & kTop);
}

}  // namespace crossover::quant

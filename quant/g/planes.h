// Codes of any width in bit planes: b bits are the sum of planes of 8, 4, 2 or 1 bits (7 = 4 + 2 +
// 1, 5 = 4 + 1, …), the low bits' plane first. So one piece of code unpacks every width, with no
// code across a byte.
//
// Codes lie in chunks of 32, each with its planes one after the other. A plane of w bits has 4w
// bytes; byte j holds, from its low bits up, codes j, j + 4w, j + 8w, … of the chunk: four bits lie
// as in Q4_0, and each byte vector of codes is a shift and a mask of one load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace crossover::quant {

inline constexpr size_t kPlaneChunk = 32;

/// Bytes of a chunk of 32 codes: its planes.
constexpr size_t PlaneChunkBytes(size_t bits) { return bits * kPlaneChunk / 8; }

/// f.template operator()<w, shift, offset>() for the planes of b bits: width, the lowest bit of the
/// code that it holds, and where it begins in a chunk.
template <size_t kBits, class F>
void ForEachPlane(F&& f) {
  static_assert(kBits >= 1 && kBits <= 8);
  constexpr size_t k4 = kBits & 4;
  constexpr size_t k2 = kBits & 2;
  if constexpr (kBits == 8) f.template operator()<8, 0, 0>();
  if constexpr (k4 != 0) f.template operator()<4, 0, 0>();
  if constexpr (k2 != 0) f.template operator()<2, k4, PlaneChunkBytes(k4)>();
  if constexpr ((kBits & 1) != 0) f.template operator()<1, k4 + k2, PlaneChunkBytes(k4 + k2)>();
}

/// Eight bytes at once, the first in the lowest bits.
inline uint64_t LoadWord(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// Adds a plane to the codes: words[k] has codes 8k … 8k + 7, a byte each.
template <size_t kWidth, size_t kShift>
void AddPlane(const uint8_t* plane, uint64_t words[4]) {
  constexpr uint64_t kBytes = 0x0101010101010101u;
  constexpr uint64_t kMask = kBytes * ((1u << kWidth) - 1);
  if constexpr (kWidth == 1) {
    uint32_t bits;
    std::memcpy(&bits, plane, sizeof(bits));
    for (size_t k = 0; k < 4; ++k) {
      const uint64_t pair = bits >> (2 * k) | uint64_t{bits >> (2 * k + 1)} << 32;
      words[k] |= (pair & kMask) << kShift;
    }
  } else {
    constexpr size_t kLoads = kWidth / 2;  // words of eight bytes in the plane
    for (size_t k = 0; k < 4; ++k) {
      const uint64_t word = LoadWord(plane + 8 * (k % kLoads)) >> (kWidth * (k / kLoads));
      words[k] |= (word & kMask) << kShift;
    }
  }
}

/// 32 codes from PlaneChunkBytes(kBits) bytes.
template <size_t kBits>
void UnpackPlanes(const uint8_t* chunk, uint8_t codes[kPlaneChunk]) {
  uint64_t words[4] = {};
  ForEachPlane<kBits>([&]<size_t kWidth, size_t kShift, size_t kOffset>() {
    AddPlane<kWidth, kShift>(chunk + kOffset, words);
  });
  std::memcpy(codes, words, sizeof(words));
}

/// The reverse. Higher bits of a code are left out.
template <size_t kBits>
void PackPlanes(const uint8_t codes[kPlaneChunk], uint8_t* chunk) {
  ForEachPlane<kBits>([&]<size_t kWidth, size_t kShift, size_t kOffset>() {
    constexpr size_t kBytes = 4 * kWidth;
    for (size_t j = 0; j < kBytes; ++j) {
      unsigned byte = 0;
      for (size_t i = 0; i < 8 / kWidth; ++i) {
        const unsigned part = unsigned{codes[j + kBytes * i]} >> kShift & ((1u << kWidth) - 1);
        byte |= part << (kWidth * i);
      }
      chunk[kOffset + j] = static_cast<uint8_t>(byte);
    }
  });
}

}  // namespace crossover::quant

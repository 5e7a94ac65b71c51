// How codes lie in blocks, shared by the formats that agree on it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossover::quant {

/// 32 codes in 16 bytes: byte j holds code j in its low nibble, code j + 16 in its high nibble.
/// Higher bits of a code are left out.
inline void PackNibbles(const uint8_t codes[32], uint8_t out[16]) {
  for (size_t j = 0; j < 16; ++j) {
    out[j] = static_cast<uint8_t>((codes[j] & 15) | (codes[j + 16] & 15) << 4);
  }
}

inline void UnpackNibbles(const uint8_t packed[16], uint8_t codes[32]) {
  for (size_t j = 0; j < 16; ++j) {
    codes[j] = packed[j] & 15;
    codes[j + 16] = packed[j] >> 4;
  }
}

/// The fifth bits of 32 codes: bit e % 8 of byte e / 8.
inline void PackFifthBits(const uint8_t codes[32], uint8_t out[4]) {
  for (size_t b = 0; b < 4; ++b) {
    unsigned bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= ((codes[8 * b + i] >> 4) & 1u) << i;
    out[b] = static_cast<uint8_t>(bits);
  }
}

/// Nibbles and fifth bits together: codes 0 … 31.
inline void UnpackFiveBits(const uint8_t packed[16], const uint8_t fifth[4], uint8_t codes[32]) {
  UnpackNibbles(packed, codes);
  for (size_t e = 0; e < 32; ++e) {
    codes[e] = static_cast<uint8_t>(codes[e] | ((fifth[e / 8] >> (e % 8)) & 1) << 4);
  }
}

/// Bits `shift` and `shift` + 1 of 256 codes in 64 bytes: code 128h + 32j + l goes to bits 2j and
/// 2j + 1 of byte 32h + l.
inline void PackTwoBits(const uint8_t codes[256], unsigned shift, uint8_t out[64]) {
  for (size_t h = 0; h < 2; ++h) {
    const uint8_t* half = codes + 128 * h;
    for (size_t l = 0; l < 32; ++l) {
      unsigned bits = 0;
      for (size_t j = 0; j < 4; ++j) bits |= ((half[32 * j + l] >> shift) & 3u) << (2 * j);
      out[32 * h + l] = static_cast<uint8_t>(bits);
    }
  }
}

/// Code e of the same layout.
inline uint8_t TwoBits(const uint8_t packed[64], size_t e) {
  return (packed[e / 128 * 32 + e % 32] >> (2 * (e / 32 % 4))) & 3;
}

}  // namespace crossover::quant

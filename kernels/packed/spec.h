// The packed form of a weight matrix: 16 rows side by side, so that unpacking
// needs no shuffles, the activation is a broadcast, scales of 16 rows are one
// vector, and memory is read as one stream.
//
// A matrix is cut into groups of 16 rows (the last one padded with zero rows),
// a group into units of one block a row. A unit takes exactly 16 blocks' bytes:
//
//   scales   d[16], then m[16] where the format has it (binary16), then the
//   sub-block scales codes    in chunks of 32 columns: the planes, low bits
//   first
//
// A plane of w bits is w vectors of 64 bytes; byte 4r + i of a vector belongs
// to row r and column 4q + i, where the vector holds 8 / w such quads q of four
// columns, the first in the lowest bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossover::kernels {

/// Rows that lie side by side.
inline constexpr size_t kPackedRows = 16;
inline constexpr size_t kPackedChunk = 32;

enum class PackedScales : uint8_t {
  kHalf,         // d
  kHalfAndMin,   // d, m: w = d·q + m
  kNibblePairs,  // d, m, [group][16] scale | min << 4
  kSixBitPairs,  // d, m, [group][16] low nibbles as above, [group / 2][16] high
                 // pairs of bits
  kSixBits,      // d, [group / 2][16] low nibbles, [group / 4][16] high bits, of
                 // scale + 32
  kBytes,        // d, [group][16] signed scales
};

struct PackedSpec {
  size_t block;      // columns a unit covers: 32 or 256
  size_t group;      // columns that share a scale: 16 or 32
  size_t low_bits;   // of the first plane: 2, 4 or 8
  size_t high_bits;  // of the second plane: 0, 1 or 2
  PackedScales scales;
  size_t offset = 0;               // subtracted from every code: 0 or a power of two
  bool is_signed = false;          // 8-bit codes are two's complement
  bool has_levels = false;         // 4-bit codes are indices of `levels`
  const int8_t* levels = nullptr;  // sixteen

  constexpr size_t groups() const { return block / group; }
  constexpr size_t bits() const { return low_bits + high_bits; }
  constexpr bool has_min() const {
    return scales == PackedScales::kNibblePairs || scales == PackedScales::kSixBitPairs;
  }
  /// Offset of the sub-block scales, and of the second table of kSixBitPairs
  /// and kSixBits.
  constexpr size_t sub_offset() const { return has_min() ? 64 : 32; }
  constexpr size_t high_offset() const {
    return sub_offset() + (scales == PackedScales::kSixBits ? groups() / 2 : groups()) * 16;
  }
  constexpr size_t scale_bytes() const {
    switch (scales) {
      case PackedScales::kHalf:
        return 32;
      case PackedScales::kHalfAndMin:
        return 64;
      case PackedScales::kNibblePairs:
        return 64 + groups() * 16;
      case PackedScales::kSixBitPairs:
        return high_offset() + groups() / 2 * 16;
      case PackedScales::kSixBits:
        return high_offset() + groups() / 4 * 16;
      case PackedScales::kBytes:
        return 32 + groups() * 16;
    }
    return 0;
  }
  constexpr size_t chunk_bytes() const { return bits() * 64; }
  constexpr size_t unit_bytes() const {
    return scale_bytes() + block / kPackedChunk * chunk_bytes();
  }
};

}  // namespace crossover::kernels

// The packed form of a weight matrix: 16 rows side by side, so that unpacking needs no shuffles,
// the activation is a broadcast, scales of 16 rows are one vector, and memory is read as one
// stream.
//
// A matrix is cut into groups of 16 rows (the last one padded with zero rows), a group into units
// of 128 columns (256 where blocks have 256; the last one padded with zero columns). A unit holds
//
//   codes    a chunk of 128 columns after the other, as slots.h lays them out
//   scales   a format with one scale for 32, 64 or 128 columns: for each such group
//              d[16], then m[16] where the format has it (binary16)
//            a format with sub-blocks: d[16], m[16], then their scales (PackedScales)
//
// and takes exactly the bytes of its 16 rows' blocks. Where the scales are half a cache line too
// long, odd units hold them before the codes, so that all codes start at cache lines.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace crossover::kernels {

/// Rows that lie side by side.
inline constexpr size_t kPackedRows = 16;
/// Columns of a chunk.
inline constexpr size_t kPackedChunk = 128;
/// Columns that share a slot: the shortest group with a scale of its own.
inline constexpr size_t kSlotColumns = 16;
inline constexpr size_t kChunkSlots = kPackedChunk / kSlotColumns;

// Tables of sub-block scales hold dwords, one a row, of four groups' bytes: "quads".
enum class PackedScales : uint8_t {
  kHalf,         // d: w = d·(q - offset)
  kHalfAndMin,   // d, m: w = d·q + m
  kHalfAndZero,  // d, m: w = d·(q - offset - m)
  kNibblePairs,  // quads of scale | min << 4
  kSixBitPairs,  // six bits each: two quads of scales, two of minima, as three
  kSixBits,      // six bits each of scale + 32: four quads as three; or, of eight groups, one
                 // quad, above it two bits of the other, whose upper nibbles follow
  kBytes,        // quads of scale + 128
};

struct PackedSpec {
  size_t bits;    // of a code: 2 … 8
  size_t offset;  // what the code 0 stands for is -offset; 0 or a power of two
  PackedScales scales;
  size_t group = 0;         // columns that share a sub-block's scale: 16 or 32; 0: no sub-blocks
  bool has_levels = false;  // codes are indices of quant::kIq4Levels

  constexpr bool has_groups() const { return group != 0; }
  constexpr size_t unit_columns() const { return has_groups() ? 256 : kPackedChunk; }
  constexpr size_t chunk_bytes() const { return bits * 4 * 64; }
  constexpr size_t code_bytes() const { return unit_columns() / kPackedChunk * chunk_bytes(); }
  constexpr bool has_second_half() const {
    return scales == PackedScales::kHalfAndMin || scales == PackedScales::kHalfAndZero || has_min();
  }
  constexpr bool has_min() const {
    return scales == PackedScales::kNibblePairs || scales == PackedScales::kSixBitPairs;
  }
  /// Groups of a unit that have a scale in sub-blocks.
  constexpr size_t groups() const { return has_groups() ? unit_columns() / group : 0; }
  constexpr size_t quads() const { return groups() / 4; }
  /// Subtracted from a sub-block's scale as it is stored.
  constexpr int scale_bias() const {
    return scales == PackedScales::kSixBits ? 32 : scales == PackedScales::kBytes ? 128 : 0;
  }
  constexpr size_t half_bytes() const { return has_second_half() ? 64 : 32; }
  constexpr size_t table_bytes() const {
    switch (scales) {
      case PackedScales::kNibblePairs:
      case PackedScales::kBytes:
        return quads() * 64;
      case PackedScales::kSixBitPairs:
        return 192;
      case PackedScales::kSixBits:
        return quads() * 48;
      default:
        return 0;
    }
  }
  /// `block`: weights of the format's block.
  constexpr size_t scale_bytes(size_t block) const {
    return has_groups() ? half_bytes() + table_bytes() : unit_columns() / block * half_bytes();
  }
  constexpr size_t unit_bytes(size_t block) const { return code_bytes() + scale_bytes(block); }
};

/// The part of a specification that kernels are compiled for: formats with a scale for each block
/// differ beyond their width only in small things done once a block, at run time.
constexpr PackedSpec CompiledSpec(PackedSpec spec) {
  if (spec.has_groups()) return spec;
  spec.scales = PackedScales::kHalf;
  spec.offset = spec.has_levels ? 128 : size_t{1} << (spec.bits - 1);
  return spec;
}

/// Where things lie in a packed matrix of `cols` columns; `block`: weights of the format's block.
struct PackedGeometry {
  size_t block;        // a power of two
  size_t block_shift;  // its logarithm
  PackedScales scales;
  size_t half_bytes;  // of a block's scales
  size_t units;       // of a row group
  size_t unit_bytes;
  size_t group_bytes;  // a multiple of a cache line
  bool swaps;          // whether odd units hold their scales first

  constexpr PackedGeometry(const PackedSpec& spec, size_t block_weights, size_t cols)
      : block(block_weights),
        block_shift(static_cast<size_t>(std::countr_zero(block))),
        scales(spec.scales),
        half_bytes(spec.half_bytes()),
        units((cols + spec.unit_columns() - 1) / spec.unit_columns()),
        unit_bytes(spec.unit_bytes(block)),
        group_bytes((units * unit_bytes + 63) / 64 * 64),
        swaps(unit_bytes % 64 != 0) {}
};

/// A unit's parts.
struct PackedUnit {
  const uint8_t* codes;
  const uint8_t* scales;

  constexpr PackedUnit(const uint8_t* group, const PackedGeometry& geometry, size_t index,
                       size_t code_bytes)
      : codes(group + index * geometry.unit_bytes), scales(codes + code_bytes) {
    if (geometry.swaps && index % 2 == 1) {
      scales = codes;
      codes += geometry.unit_bytes - code_bytes;
    }
  }
};

}  // namespace crossover::kernels

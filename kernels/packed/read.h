// The packed form a weight at a time: what the vectors of codes-inl.h do, in plain words, for
// machines without vectors and for tests.
#pragma once

#include <cstring>

#include "kernels/packed/slots.h"
#include "kernels/packed/spec.h"
#include "quant/half.h"
#include "quant/iq4_table.h"

namespace crossover::kernels {

/// Code of a row and a column of a chunk, without the format's offset.
constexpr int ReadPackedCode(const PackedSpec& spec, const uint8_t* chunk, size_t row,
                             size_t column) {
  const Slot slot = SlotOf(spec.bits, column / kSlotColumns);
  const size_t quad = column % kSlotColumns / 4;
  int code = 0;
  for (size_t i = 0; i < slot.count; ++i) {
    const SlotPiece& piece = slot.pieces[i];
    const int byte = chunk[(piece.set * 4 + quad) * 64 + 4 * row + column % 4];
    code |= (byte >> piece.from & ((1 << piece.width) - 1)) << piece.to;
  }
  return spec.has_levels ? quant::kIq4Levels[static_cast<size_t>(code)] + 128 : code;
}

struct PackedScaleMin {
  int scale = 1;
  int min = 0;
};

/// Byte g % 4 of quad g / 4 of a table of six-bit quads, the fourth spread over the others.
constexpr int ReadSixBits(const uint8_t* table, size_t row, size_t g) {
  const auto byte = [&](size_t quad) { return table[quad * 64 + 4 * row + g % 4]; };
  if (g / 4 < 3) return byte(g / 4) & 63;
  return byte(0) >> 6 | byte(1) >> 6 << 2 | byte(2) >> 6 << 4;
}

/// Of group g of a unit's sub-blocks. `table`: behind the halves.
constexpr PackedScaleMin ReadPackedScale(const PackedSpec& spec, const uint8_t* table, size_t row,
                                         size_t g) {
  const auto byte = [&](size_t quad) { return table[quad * 64 + 4 * row + g % 4]; };
  switch (spec.scales) {
    case PackedScales::kNibblePairs:
      return {byte(g / 4) & 15, byte(g / 4) >> 4};
    case PackedScales::kSixBitPairs:
      return {ReadSixBits(table, row, g), ReadSixBits(table, row, 8 + g)};
    case PackedScales::kSixBits: {
      if (spec.quads() == 4) return {ReadSixBits(table, row, g) - 32, 0};
      if (g < 4) return {(byte(0) & 63) - 32, 0};
      const int upper = table[64 + 2 * row + g % 2] >> (g % 4 / 2 * 4) & 15;
      return {(byte(0) >> 6 | upper << 2) - 32, 0};
    }
    case PackedScales::kBytes:
      return {byte(g / 4) - 128, 0};
    default:
      return {};
  }
}

inline float ReadPackedHalf(const uint8_t* halves, size_t row) {
  quant::Half half;
  std::memcpy(&half, halves + 2 * row, 2);
  return half.ToFloat();
}

/// w = scale · code - min, with the code as ReadPackedCode gives it less `offset`.
struct PackedAffine {
  float scale;
  float min;
  int offset;
};

/// Of the group that a unit's column lies in.
inline PackedAffine ReadPackedAffine(const PackedSpec& spec, const PackedGeometry& geometry,
                                     const uint8_t* scales, size_t row, size_t column) {
  if (spec.has_groups()) {
    const PackedScaleMin sub =
        ReadPackedScale(spec, scales + spec.half_bytes(), row, column / spec.group);
    const float scale = ReadPackedHalf(scales, row) * static_cast<float>(sub.scale);
    if (!spec.has_min()) return {scale, 0.0f, static_cast<int>(spec.offset)};
    return {scale, ReadPackedHalf(scales + 32, row) * static_cast<float>(sub.min), 0};
  }
  const uint8_t* halves = scales + column / geometry.block * geometry.half_bytes;
  const float d = ReadPackedHalf(halves, row);
  switch (geometry.scales) {
    case PackedScales::kHalfAndMin:
      return {d, -ReadPackedHalf(halves + 32, row), 0};
    case PackedScales::kHalfAndZero:
      return {d, d * ReadPackedHalf(halves + 32, row), spec.bits == 8 ? 128 : 0};
    default:
      return {d, 0.0f, static_cast<int>(spec.offset)};
  }
}

}  // namespace crossover::kernels

#include "kernels/packed/pack.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "kernels/packed/slots.h"
#include "kernels/packed/sources.h"

namespace crossover::kernels {
namespace {

/// The codes of a chunk, a dword of four columns a row: [slot][quad][row].
struct ChunkCodes {
  uint32_t quads[kChunkSlots][4][kPackedRows];
};

/// One unit: its rows' blocks, taken apart.
struct RawUnit {
  size_t blocks;  // of a row
  RawBlock rows[kPackedRows][4];
};

void GatherChunk(const RawUnit& unit, size_t block_weights, size_t chunk, ChunkCodes& codes) {
  for (size_t r = 0; r < kPackedRows; ++r) {
    for (size_t slot = 0; slot < kChunkSlots; ++slot) {
      const size_t column = chunk * kPackedChunk + slot * kSlotColumns;
      const uint8_t* from = unit.rows[r][column / block_weights].codes + column % block_weights;
      for (size_t q = 0; q < 4; ++q) std::memcpy(&codes.quads[slot][q][r], from + 4 * q, 4);
    }
  }
}

/// A whole chunk's sets, from slots and pieces that are known when compiled.
template <size_t kBits>
void PackChunk(const ChunkCodes& codes, uint8_t* out) {
  alignas(64) uint32_t sets[kBits][4][kPackedRows] = {};
  const auto add_piece = [&]<size_t kSlot, size_t kPiece>() {
    constexpr Slot kThis = SlotOf(kBits, kSlot);
    if constexpr (kPiece < kThis.count) {
      constexpr SlotPiece kPart = kThis.pieces[kPiece];
      constexpr uint32_t kMask = ((uint32_t{1} << kPart.width) - 1) * 0x01010101u;
      for (size_t q = 0; q < 4; ++q) {
        for (size_t r = 0; r < kPackedRows; ++r) {
          sets[kPart.set][q][r] |= (codes.quads[kSlot][q][r] >> kPart.to & kMask) << kPart.from;
        }
      }
    }
  };
  const auto add_slot = [&]<size_t kSlot, size_t... kPieces>(std::index_sequence<kPieces...>) {
    (add_piece.template operator()<kSlot, kPieces>(), ...);
  };
  [&]<size_t... kSlots>(std::index_sequence<kSlots...>) {
    (add_slot.template operator()<kSlots>(std::make_index_sequence<8>()), ...);
  }
  (std::make_index_sequence<kChunkSlots>());
  std::memcpy(out, sets, sizeof(sets));
}

/// Puts byte g % 4 of quad g / 4 of six-bit quads; see ReadSixBits.
void AddSixBits(uint8_t* table, size_t row, size_t g, int value) {
  const auto byte = [&](size_t quad) -> uint8_t& { return table[quad * 64 + 4 * row + g % 4]; };
  if (g / 4 < 3) {
    byte(g / 4) |= static_cast<uint8_t>(value);
    return;
  }
  for (size_t quad = 0; quad < 3; ++quad) {
    byte(quad) |= static_cast<uint8_t>((value >> (2 * quad) & 3) << 6);
  }
}

/// The table of one row's sub-block scales; `table` is zero before the first row.
template <PackedSpec kSpec>
void AddScaleTable(const RawBlock& raw, size_t row, uint8_t* table) {
  for (size_t g = 0; g < kSpec.groups(); ++g) {
    uint8_t& byte = table[g / 4 * 64 + 4 * row + g % 4];
    if constexpr (kSpec.scales == PackedScales::kNibblePairs) {
      byte = static_cast<uint8_t>(raw.scales[g] | raw.mins[g] << 4);
    } else if constexpr (kSpec.scales == PackedScales::kBytes) {
      byte = raw.scales[g];
    } else if constexpr (kSpec.scales == PackedScales::kSixBitPairs) {
      AddSixBits(table, row, g, raw.scales[g]);
      AddSixBits(table, row, 8 + g, raw.mins[g]);
    } else if constexpr (kSpec.quads() == 4) {
      AddSixBits(table, row, g, raw.scales[g]);
    } else if (g < 4) {
      byte |= raw.scales[g];
    } else {
      table[4 * row + g % 4] |= static_cast<uint8_t>((raw.scales[g] & 3) << 6);
      table[64 + 2 * row + g % 2] |= static_cast<uint8_t>(raw.scales[g] >> 2 << (g % 4 / 2 * 4));
    }
  }
}

template <PackedSpec kSpec>
void PackScales(const RawUnit& unit, size_t blocks, uint8_t* out) {
  std::memset(out, 0, kSpec.has_groups() ? kSpec.scale_bytes(256) : blocks * kSpec.half_bytes());
  for (size_t r = 0; r < kPackedRows; ++r) {
    for (size_t b = 0; b < blocks; ++b) {
      const RawBlock& raw = unit.rows[r][b];
      uint8_t* halves = out + b * kSpec.half_bytes();
      std::memcpy(halves + 2 * r, &raw.d, 2);
      if constexpr (kSpec.has_second_half()) std::memcpy(halves + 32 + 2 * r, &raw.m, 2);
      if constexpr (kSpec.has_groups()) AddScaleTable<kSpec>(raw, r, halves + kSpec.half_bytes());
    }
  }
}

template <class F>
void PackGroup(const Matrix& w, size_t first_row, std::byte* out) {
  constexpr PackedSpec kSpec = PackedSource<F>::kSpec;
  constexpr size_t kUnitBlocks = kSpec.unit_columns() / F::kBlockWeights;
  static_assert(kSpec.unit_bytes(F::kBlockWeights) ==
                kPackedRows * kUnitBlocks * sizeof(typename F::Block));
  const PackedGeometry geometry(kSpec, F::kBlockWeights, w.cols);
  const size_t row_blocks = w.cols / F::kBlockWeights;
  const auto* blocks = static_cast<const typename F::Block*>(w.data);
  const size_t rows = std::min(kPackedRows, w.rows - first_row);
  RawUnit unit{};  // rows behind the last stay zero
  auto* group = reinterpret_cast<uint8_t*>(out);
  for (size_t u = 0; u < geometry.units; ++u) {
    for (size_t r = 0; r < rows; ++r) {
      for (size_t b = 0; b < kUnitBlocks; ++b) {
        const size_t block = u * kUnitBlocks + b;
        if (block < row_blocks) {
          PackedSource<F>::Read(blocks[(first_row + r) * row_blocks + block], unit.rows[r][b]);
        } else {
          unit.rows[r][b] = {};
        }
      }
    }
    const PackedUnit place(group, geometry, u, kSpec.code_bytes());
    PackScales<kSpec>(unit, kUnitBlocks, group + (place.scales - group));
    ChunkCodes codes;
    for (size_t c = 0; c < kSpec.unit_columns() / kPackedChunk; ++c) {
      GatherChunk(unit, F::kBlockWeights, c, codes);
      PackChunk<kSpec.bits>(codes, group + (place.codes - group) + c * kSpec.chunk_bytes());
    }
  }
  const size_t end = geometry.units * geometry.unit_bytes;
  std::memset(group + end, 0, geometry.group_bytes - end);
}

}  // namespace

bool HasPackedForm(quant::Format format) {
  bool has = false;
  quant::VisitFormat(format, [&]<class F>() { has = PackedSource<F>::kExists; });
  return has;
}

PackedGeometry GeometryOf(const Matrix& w) {
  PackedSpec spec{};
  quant::VisitFormat(w.format, [&]<class F>() {
    if constexpr (PackedSource<F>::kExists) spec = PackedSource<F>::kSpec;
  });
  return {spec, quant::Info(w.format).block_weights, w.cols};
}

size_t PackedGroupBytes(const Matrix& w) { return GeometryOf(w).group_bytes; }

size_t PackedBytes(const Matrix& w) {
  return (w.rows + kPackedRows - 1) / kPackedRows * PackedGroupBytes(w);
}

void Pack(const Worker& worker, const Matrix& w, std::byte* out) {
  assert(HasPackedForm(w.format) && w.layout == Layout::kRows);
  const Range rows = worker.Split(w.rows, kPackedRows);
  const size_t group_bytes = PackedGroupBytes(w);
  quant::VisitFormat(w.format, [&]<class F>() {
    if constexpr (PackedSource<F>::kExists) {
      for (size_t r = rows.begin; r < rows.end; r += kPackedRows) {
        PackGroup<F>(w, r, out + r / kPackedRows * group_bytes);
      }
    }
  });
}

}  // namespace crossover::kernels

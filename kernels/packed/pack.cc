// Making the packed form. Plain loops over arrays of known shape, compiled for each target: which
// vectors they become is the compiler's business.
#include "kernels/packed/pack.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/packed/pack.cc"
#include <hwy/foreach_target.h>

#include "kernels/packed/slots.h"
#include "kernels/packed/sources.h"
#include "kernels/simd-inl.h"

#ifndef CROSSOVER_KERNELS_PACKED_PACK_ONCE_
#define CROSSOVER_KERNELS_PACKED_PACK_ONCE_
namespace crossover::kernels {

/// Packs groups of 16 rows: those of `rows`, to the places that they have behind `out`.
using PackFn = void (*)(const Matrix& w, Range rows, std::byte* out);

constexpr size_t kUnitColumns = 256;  // the most
constexpr size_t kUnitBlocks = 4;     // of a row, the most

/// One unit: its rows' blocks, taken apart.
struct RawUnit {
  alignas(64) uint8_t codes[kPackedRows][kUnitColumns];
  RawScales scales[kPackedRows][kUnitBlocks];
};

/// The codes of a chunk, a dword of four columns a row.
struct ChunkCodes {
  alignas(64) uint32_t quads[kChunkSlots][4][kPackedRows];
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

inline uint32_t LoadQuad(const uint8_t* bytes) {
  uint32_t quad;
  std::memcpy(&quad, bytes, sizeof(quad));
  return quad;
}

#if HWY_TARGET == HWY_SCALAR
void GatherChunk(const RawUnit& unit, size_t chunk, ChunkCodes& codes) {
  for (size_t r = 0; r < kPackedRows; ++r) {
    const uint8_t* from = unit.codes[r] + chunk * kPackedChunk;
    for (size_t slot = 0; slot < kChunkSlots; ++slot) {
      for (size_t q = 0; q < 4; ++q) {
        codes.quads[slot][q][r] = LoadQuad(from + slot * kSlotColumns + 4 * q);
      }
    }
  }
}
#else
/// Four rows' dwords of four quads at a time, turned over in 128-bit registers.
void GatherChunk(const RawUnit& unit, size_t chunk, ChunkCodes& codes) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> d64;
  const hn::FixedTag<uint8_t, 16> d8;
  for (size_t r = 0; r < kPackedRows; r += 4) {
    for (size_t slot = 0; slot < kChunkSlots; ++slot) {
      const size_t column = chunk * kPackedChunk + slot * kSlotColumns;
      const auto row = [&](size_t i) HWY_ATTR {
        return hn::BitCast(d, hn::LoadU(d8, unit.codes[r + i] + column));
      };
      const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, row(0), row(1)));
      const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, row(0), row(1)));
      const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, row(2), row(3)));
      const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, row(2), row(3)));
      uint32_t(*quads)[kPackedRows] = codes.quads[slot];
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, low01, low23)), d, quads[0] + r);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, low01, low23)), d, quads[1] + r);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, high01, high23)), d, quads[2] + r);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, high01, high23)), d, quads[3] + r);
    }
  }
}
#endif

/// sets[q][r] |= one piece of one slot; both are known when compiled.
template <size_t kBits, size_t kSlot, size_t kPiece>
HWY_INLINE void AddPiece(const ChunkCodes& codes, uint32_t (*sets)[4][kPackedRows]) {
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
}

template <size_t kBits, size_t kSlot, size_t... kPieces>
HWY_INLINE void AddSlot(const ChunkCodes& codes, uint32_t (*sets)[4][kPackedRows],
                        std::index_sequence<kPieces...>) {
  (AddPiece<kBits, kSlot, kPieces>(codes, sets), ...);
}

template <size_t kBits, size_t... kSlots>
HWY_INLINE void AddSlots(const ChunkCodes& codes, uint32_t (*sets)[4][kPackedRows],
                         std::index_sequence<kSlots...>) {
  (AddSlot<kBits, kSlots>(codes, sets, std::make_index_sequence<8>()), ...);
}

/// A chunk's sets.
template <size_t kBits>
HWY_NOINLINE void PackChunk(const ChunkCodes& codes, uint8_t* out) {
  alignas(64) uint32_t sets[kBits][4][kPackedRows] = {};
  AddSlots<kBits>(codes, sets, std::make_index_sequence<kChunkSlots>());
  std::memcpy(out, sets, sizeof(sets));
}

/// The table of sub-block scales: quads are a dword a row as they stand in RawScales, four groups'
/// bytes each.
template <PackedSpec kSpec>
HWY_INLINE void PackTable(const RawUnit& unit, uint8_t* table) {
  constexpr uint32_t kTwoBits = 0x03030303u;
  uint32_t quads[4][kPackedRows];
  for (size_t r = 0; r < kPackedRows; ++r) {
    const RawScales& raw = unit.scales[r][0];
    for (size_t q = 0; q < 4; ++q) {
      // Six-bit pairs: two quads of scales, two of minima.
      quads[q][r] = kSpec.scales == PackedScales::kSixBitPairs && q >= 2
                        ? LoadQuad(raw.mins + 4 * (q - 2))
                        : LoadQuad(raw.scales + 4 * q);
      if (kSpec.scales == PackedScales::kNibblePairs)
        quads[q][r] |= LoadQuad(raw.mins + 4 * q) << 4;
    }
  }
  if constexpr (kSpec.scales == PackedScales::kNibblePairs ||
                kSpec.scales == PackedScales::kBytes) {
    std::memcpy(table, quads, kSpec.table_bytes());
  } else if constexpr (kSpec.table_bytes() == 192) {
    for (size_t q = 0; q < 3; ++q) {
      for (size_t r = 0; r < kPackedRows; ++r) {
        quads[q][r] |= (quads[3][r] >> (2 * q) & kTwoBits) << 6;
      }
    }
    std::memcpy(table, quads, 192);
  } else if constexpr (kSpec.scales == PackedScales::kSixBits) {
    for (size_t r = 0; r < kPackedRows; ++r) {
      const uint32_t upper = quads[1][r] >> 2 & 0x0f0f0f0fu;
      quads[0][r] |= (quads[1][r] & kTwoBits) << 6;
      const auto nibbles = static_cast<uint16_t>(upper | upper >> 12);
      std::memcpy(table + 64 + 2 * r, &nibbles, sizeof(nibbles));
    }
    std::memcpy(table, quads, 64);
  }
}

template <PackedSpec kSpec>
HWY_INLINE void PackScales(const RawUnit& unit, size_t blocks, uint8_t* out) {
  for (size_t b = 0; b < blocks; ++b) {
    uint8_t* halves = out + b * kSpec.half_bytes();
    for (size_t r = 0; r < kPackedRows; ++r) {
      const RawScales& raw = unit.scales[r][b];
      std::memcpy(halves + 2 * r, &raw.d, 2);
      if constexpr (kSpec.has_second_half()) std::memcpy(halves + 32 + 2 * r, &raw.m, 2);
    }
  }
  if constexpr (kSpec.has_groups()) PackTable<kSpec>(unit, out + kSpec.half_bytes());
}

/// The blocks of a row in a unit; those behind the row's end are zero.
template <class F, size_t kBlocks>
HWY_INLINE void ReadRow(const typename F::Block* HWY_RESTRICT blocks, size_t count,
                        uint8_t* HWY_RESTRICT codes, RawScales* HWY_RESTRICT scales) {
  for (size_t b = 0; b < kBlocks; ++b) {
    if (b < count) {
      PackedSource<F>::Read(blocks[b], codes + b * F::kBlockWeights, scales[b]);
    } else {
      std::memset(codes + b * F::kBlockWeights, 0, F::kBlockWeights);
      scales[b] = {};
    }
  }
}

template <class F>
void PackRows(const Matrix& w, Range rows, std::byte* out) {
  constexpr PackedSpec kSpec = PackedSource<F>::kSpec;
  constexpr size_t kBlocks = kSpec.unit_columns() / F::kBlockWeights;
  static_assert(kBlocks <= kUnitBlocks);
  static_assert(kSpec.unit_bytes(F::kBlockWeights) ==
                kPackedRows * kBlocks * sizeof(typename F::Block));
  const PackedGeometry geometry(kSpec, F::kBlockWeights, w.cols);
  const size_t row_blocks = w.cols / F::kBlockWeights;
  const auto* blocks = static_cast<const typename F::Block*>(w.data);
  RawUnit unit{};
  ChunkCodes codes;
  for (size_t first = rows.begin; first < rows.end; first += kPackedRows) {
    auto* group = reinterpret_cast<uint8_t*>(out) + first / kPackedRows * geometry.group_bytes;
    const size_t count = std::min(kPackedRows, w.rows - first);
    if (count < kPackedRows) unit = {};  // rows behind the last are zero
    for (size_t u = 0; u < geometry.units; ++u) {
      for (size_t r = 0; r < count; ++r) {
        const size_t block = u * kBlocks;
        ReadRow<F, kBlocks>(blocks + (first + r) * row_blocks + block, row_blocks - block,
                            unit.codes[r], unit.scales[r]);
      }
      const PackedUnit place(group, geometry, u, kSpec.code_bytes());
      PackScales<kSpec>(unit, kBlocks, group + (place.scales - group));
      for (size_t c = 0; c < kSpec.unit_columns() / kPackedChunk; ++c) {
        GatherChunk(unit, c, codes);
        PackChunk<kSpec.bits>(codes, group + (place.codes - group) + c * kSpec.chunk_bytes());
      }
    }
    const size_t end = geometry.units * geometry.unit_bytes;
    std::memset(group + end, 0, geometry.group_bytes - end);
  }
}

using PackTableOf = FormatTable<PackFn>;

const PackTableOf& PackFunctions() {
  static constexpr PackTableOf kTable = MakeFormatTable<PackFn>([]<class F>() -> PackFn {
    if constexpr (PackedSource<F>::kExists) return PackRows<F>;
    return nullptr;
  });
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(PackFunctions);
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

size_t StoredBytes(const Matrix& w) {
  return w.layout == Layout::kPacked ? PackedBytes(w)
                                     : w.rows * quant::Info(w.format).row_bytes(w.cols);
}

void Pack(const Worker& worker, const Matrix& w, std::byte* out) {
  assert(HasPackedForm(w.format) && w.layout == Layout::kRows);
  HWY_DYNAMIC_DISPATCH(PackFunctions)
  ()[FormatIndex(w.format)](w, worker.Split(w.rows, kPackedRows), out);
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

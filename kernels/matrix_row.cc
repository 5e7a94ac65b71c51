// In the packed form a row's codes are a dword in 64 bytes, so plain words do: a token's row costs
// microseconds, its pass milliseconds.
#include "kernels/matrix_row.h"

#include <algorithm>
#include <array>

#include "kernels/packed/pack.h"
#include "kernels/packed/read.h"
#include "kernels/packed/slots.h"
#include "kernels/packed/sources.h"

namespace crossover::kernels {
namespace {

template <size_t kBits>
constexpr std::array<Slot, kChunkSlots> kSlots = [] {
  std::array<Slot, kChunkSlots> slots;
  for (size_t k = 0; k < kChunkSlots; ++k) slots[k] = SlotOf(kBits, k);
  return slots;
}();

/// Codes of a row's 16 columns of one slot.
void ReadSlot(const Slot& slot, const uint8_t* chunk, size_t row, int* codes) {
  for (size_t i = 0; i < kSlotColumns; ++i) codes[i] = 0;
  for (size_t p = 0; p < slot.count; ++p) {
    const SlotPiece& piece = slot.pieces[p];
    const uint8_t* set = chunk + piece.set * 4 * 64 + 4 * row;
    for (size_t i = 0; i < kSlotColumns; ++i) {
      const int byte = set[i / 4 * 64 + i % 4];
      codes[i] |= (byte >> piece.from & ((1 << piece.width) - 1)) << piece.to;
    }
  }
}

template <PackedSpec kSpec>
void DecodeUnit(const PackedUnit& unit, const PackedGeometry& geometry, size_t row, size_t columns,
                float* out) {
  int codes[kSlotColumns];
  for (size_t column = 0; column < columns; column += kSlotColumns) {
    const uint8_t* chunk = unit.codes + column / kPackedChunk * kSpec.chunk_bytes();
    ReadSlot(kSlots<kSpec.bits>[column % kPackedChunk / kSlotColumns], chunk, row, codes);
    const PackedAffine affine = ReadPackedAffine(kSpec, geometry, unit.scales, row, column);
    for (size_t i = 0; i < kSlotColumns; ++i) {
      const int level = kSpec.has_levels ? quant::kIq4Levels[codes[i]] + 128 : codes[i];
      out[column + i] = affine.scale * static_cast<float>(level - affine.offset) - affine.min;
    }
  }
}

}  // namespace

void DecodeMatrixRow(const Matrix& w, size_t row, float* out) {
  if (w.layout == Layout::kRows) {
    const size_t row_bytes = quant::Info(w.format).row_bytes(w.cols);
    DecodeRow(w.format, static_cast<const std::byte*>(w.data) + row * row_bytes, w.cols, out);
    return;
  }
  quant::VisitFormat(w.format, [&]<class F>() {
    if constexpr (PackedSource<F>::kExists) {
      constexpr PackedSpec kSpec = PackedSource<F>::kSpec;
      const PackedGeometry geometry(kSpec, F::kBlockWeights, w.cols);
      const auto* group =
          static_cast<const uint8_t*>(w.data) + row / kPackedRows * geometry.group_bytes;
      for (size_t u = 0; u < geometry.units; ++u) {
        const PackedUnit unit(group, geometry, u, kSpec.code_bytes());
        const size_t first = u * kSpec.unit_columns();
        const size_t columns = std::min(kSpec.unit_columns(), w.cols - first);
        DecodeUnit<kSpec>(unit, geometry, row % kPackedRows, columns, out + first);
      }
    }
  });
}

}  // namespace crossover::kernels

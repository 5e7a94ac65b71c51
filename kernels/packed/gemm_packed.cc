// Products of many tokens with the packed form, in float32 (or with both operands rounded to
// bfloat16).
//
// A panel of 32 rows is decoded once to float32, columns outermost: panel[k][32]. A tile of tokens
// then runs down it: y[t][0 … 32) += x[t][k] · panel[k][0 … 32). The activation is broadcast, and
// the sums of two row groups × kTokenTile tokens stay in registers, so that
// nothing is summed across lanes.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/packed/gemm_packed.cc"
#include <hwy/foreach_target.h>

#include "kernels/half-inl.h"
#include "kernels/packed/dequant-inl.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/read.h"
#include "kernels/packed/sources.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

constexpr size_t kPanelRows = 2 * kPackedRows;
// 64 KiB of panel stay in L2, a tile's activations (24 KiB) in L1. A multiple
// of every block.
constexpr size_t kDepth = 512;
static_assert(kPanelRows * kDepth * sizeof(float) <= Team::kScratchBytes);

/// Decodes columns [first, first + depth) of a row group to panel[·][kPanelRows].
template <PackedSpec kSpec>
void DecodeGroup(const uint8_t* group, const PackedGeometry& geometry, size_t first, size_t depth,
                 bool round, float* panel);

#if HWY_TARGET != HWY_SCALAR

/// Slot kSlot of a unit to panel rows [0, 16).
template <PackedSpec kSpec, size_t kSlot>
HWY_INLINE void DecodeSlot(const PackedUnit& unit, const UnitScales<kSpec>& scales,
                           size_t first_row, bool round, float* HWY_RESTRICT out) {
  const PackedFloats df;
  const uint8_t* chunk = unit.codes + kSlot / kChunkSlots * kSpec.chunk_bytes() + 4 * first_row;
  VFloats scale, min;
  scales.template Get<kSlot>(scale, min);
  for (size_t q = 0; q < 4; ++q) {
    VFloats w[4];
    QuadToFloats<kSpec, kSlot % kChunkSlots>(chunk, q, scale, min, w);
    for (size_t i = 0; i < 4; ++i) {
      if (round) w[i] = RoundToBFloat16(df, w[i]);
      hn::StoreU(w[i], df, out + (4 * q + i) * kPanelRows);
    }
  }
}

/// The first `slots` slots of a unit.
template <PackedSpec kSpec, size_t... kSlots>
HWY_INLINE void DecodeUnit(const PackedUnit& unit, const PackedGeometry& geometry, size_t first_row,
                           size_t slots, bool round, float* panel, std::index_sequence<kSlots...>) {
  const UnitScales<kSpec> scales(unit.scales, geometry, first_row);
  const auto slot = [&]<size_t kSlot>() HWY_ATTR {
    if (kSlot < slots) {
      DecodeSlot<kSpec, kSlot>(unit, scales, first_row, round,
                               panel + kSlot * kSlotColumns * kPanelRows);
    }
  };
  (slot.template operator()<kSlots>(), ...);
}

template <PackedSpec kSpec>
void DecodeGroup(const uint8_t* group, const PackedGeometry& geometry, size_t first, size_t depth,
                 bool round, float* panel) {
  constexpr size_t kColumns = kSpec.unit_columns();
  for (size_t k = 0; k < depth; k += kColumns) {
    const PackedUnit unit(group, geometry, (first + k) / kColumns, kSpec.code_bytes());
    const size_t slots = std::min(kColumns, depth - k) / kSlotColumns;
    for (size_t row = 0; row < kPackedRows; row += kLaneRows) {
      DecodeUnit<kSpec>(unit, geometry, row, slots, round, panel + k * kPanelRows + row,
                        std::make_index_sequence<kColumns / kSlotColumns>());
    }
  }
}

// Registers: kTokenTile × kVectors sums and kVectors weights of 32 (16).
constexpr size_t kVectors = kPanelRows / kLaneRows;
constexpr size_t kTokenTile = kVectors == 2 ? 12 : kVectors == 4 ? 3 : 1;

template <size_t kTokens>
HWY_NOINLINE void PanelTile(const float* HWY_RESTRICT panel, const float* HWY_RESTRICT x,
                            size_t x_stride, size_t depth, float* HWY_RESTRICT sums) {
  const PackedFloats d;
  VFloats acc[kTokens][kVectors];
  for (auto& token : acc) {
    for (auto& a : token) a = hn::Zero(d);
  }
  for (size_t k = 0; k < depth; ++k) {
    VFloats w[kVectors];
    for (size_t i = 0; i < kVectors; ++i) {
      w[i] = hn::LoadU(d, panel + k * kPanelRows + i * kLaneRows);
    }
    for (size_t t = 0; t < kTokens; ++t) {
      const VFloats a = hn::Set(d, x[t * x_stride + k]);
      for (size_t i = 0; i < kVectors; ++i) acc[t][i] = hn::MulAdd(a, w[i], acc[t][i]);
    }
  }
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t i = 0; i < kVectors; ++i) {
      hn::StoreU(acc[t][i], d, sums + t * kPanelRows + i * kLaneRows);
    }
  }
}

#else

template <PackedSpec kSpec>
void DecodeGroup(const uint8_t* group, const PackedGeometry& geometry, size_t first, size_t depth,
                 bool round, float* panel) {
  for (size_t k = 0; k < depth; ++k) {
    const size_t column = (first + k) % kSpec.unit_columns();
    const PackedUnit unit(group, geometry, (first + k) / kSpec.unit_columns(), kSpec.code_bytes());
    const uint8_t* chunk = unit.codes + column / kPackedChunk * kSpec.chunk_bytes();
    for (size_t row = 0; row < kPackedRows; ++row) {
      const PackedAffine affine = ReadPackedAffine(kSpec, geometry, unit.scales, row, column);
      const int code = ReadPackedCode(kSpec, chunk, row, column % kPackedChunk) - affine.offset;
      const float w = affine.scale * static_cast<float>(code) - affine.min;
      panel[k * kPanelRows + row] = round ? quant::BFloat16::FromFloat(w).ToFloat() : w;
    }
  }
}

constexpr size_t kTokenTile = 1;

template <size_t kTokens>
void PanelTile(const float* panel, const float* x, size_t, size_t depth, float* sums) {
  std::fill_n(sums, kPanelRows, 0.0f);
  for (size_t k = 0; k < depth; ++k) {
    for (size_t r = 0; r < kPanelRows; ++r) sums[r] += panel[k * kPanelRows + r] * x[k];
  }
}

#endif  // HWY_TARGET != HWY_SCALAR

using PanelTileFn = void (*)(const float*, const float*, size_t, size_t, float*);

template <size_t... kTokens>
constexpr std::array<PanelTileFn, sizeof...(kTokens)> PanelTiles(std::index_sequence<kTokens...>) {
  return {PanelTile<kTokens + 1>...};
}

/// Starts y (first block of columns) or adds to it.
void StorePanelSums(const MatMulShare& share, bool first, size_t t, Range rows, const float* sums) {
  float* y = share.y + t * share.y_stride;
  for (size_t r = rows.begin; r < rows.end; ++r) {
    float value = sums[r - rows.begin];
    if (first && share.bias != nullptr) value += share.bias[r];
    y[r] = !first || share.accumulate ? y[r] + value : value;
  }
}

template <PackedSpec kSpec>
void GemmPacked(const MatMulShare& share, const float* x, bool round) {
  static constexpr auto kTiles = PanelTiles(std::make_index_sequence<kTokenTile>());
  const size_t cols = share.w->cols;
  const PackedGeometry geometry = GeometryOf(*share.w);
  const auto* data = static_cast<const uint8_t*>(share.w->data);
  auto* panel = reinterpret_cast<float*>(share.scratch.data());
  alignas(64) float sums[kTokenTile * kPanelRows];
  for (size_t r = share.rows.begin; r < share.rows.end; r += kPanelRows) {
    const Range rows{r, std::min(r + kPanelRows, share.rows.end)};
    for (size_t k0 = 0; k0 < cols; k0 += kDepth) {
      const size_t depth = std::min(kDepth, cols - k0);
      for (size_t i = 0; i < rows.size(); i += kPackedRows) {
        DecodeGroup<kSpec>(data + (r + i) / kPackedRows * geometry.group_bytes, geometry, k0, depth,
                           round, panel + i);
      }
      for (size_t t = 0; t < share.tokens; t += kTokenTile) {
        const size_t tokens = std::min(kTokenTile, share.tokens - t);
        kTiles[tokens - 1](panel, x + t * cols + k0, cols, depth, sums);
        for (size_t i = 0; i < tokens; ++i) {
          StorePanelSums(share, k0 == 0, t + i, rows, sums + i * kPanelRows);
        }
      }
    }
  }
}

using GemmPackedRow = FormatTable<GemmPackedFn>;

const GemmPackedRow& GemmPackedFunctions() {
  static constexpr GemmPackedRow kTable = PackedFunctions<GemmPackedFn>(
      []<PackedSpec kSpec>() -> GemmPackedFn { return GemmPacked<kSpec>; });
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(GemmPackedFunctions);
}

std::span<const GemmPackedFn> GemmPackedTable() {
  return HWY_DYNAMIC_DISPATCH(GemmPackedFunctions)();
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

// Products of many tokens with 8-bit activations on x86. Units of rows are unpacked once for a
// block of tokens (unit_panel-inl.h), some at a time, so that panels stay in L1 while the block's
// activations pass in tiles (unit_tile-inl.h).
#if defined(CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
#undef CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
#endif

#include <algorithm>

#include "kernels/packed/store_rows-inl.h"
#include "kernels/packed/token_block-inl.h"
#include "kernels/packed/unit_panel-inl.h"
#include "kernels/packed/unit_tile-inl.h"

#if CROSSOVER_BYTE_GEMM

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// All rows of a share.
template <PackedSpec kSpec>
class ByteGemm {
 public:
  ByteGemm(const MatMulShare& share, const PackedGeometry& geometry, const Q8Rows& x,
           const GroupSums& sums)
      : share_(share), geometry_(geometry), x_(x), sums_(sums) {}

  /// Whether there is room for the activations of a tile.
  static bool Fits(const MatMulShare& share, const PackedGeometry& geometry, const Q8Rows& x) {
    return Block::MostTokens(geometry, x, share.scratch.size()) >= kTokens;
  }

  void Run() {
    const size_t most = Block::MostTokens(geometry_, x_, share_.scratch.size());
    const size_t step = most / kTokens * kTokens;
    for (size_t first = 0; first < share_.tokens; first += step) {
      const size_t tokens = std::min(step, share_.tokens - first);
      count_ = (tokens + kTokens - 1) / kTokens * kTokens;
      block_.Take(geometry_, x_, sums_, first, tokens, count_, share_.scratch.data());
      for (size_t row = share_.rows.begin; row < share_.rows.end; row += kPanelRows) {
        RunRows(row);
        StoreTokens(row, first, tokens);
      }
    }
  }

 private:
  using Panel = UnitPanel<kSpec>;
  using Tile = UnitTile<kSpec>;
  using Block = TokenBlock<kSpec>;
  static constexpr size_t kTokens = Tile::kTokens;
  static constexpr size_t kSliceUnits = 2;

  const uint8_t* Group(size_t row) const {
    return static_cast<const uint8_t*>(share_.w->data) + row / kPackedRows * geometry_.group_bytes;
  }

  /// out = the products of rows [row, row + kPanelRows).
  HWY_NOINLINE void RunRows(size_t row) {
    for (size_t begin = 0; begin < geometry_.units; begin += kSliceUnits) {
      const Range units = {begin, std::min(geometry_.units, begin + kSliceUnits)};
      FillPanels(row, units);
      for (size_t t = 0; t < count_; t += kTokens) {
        PrefetchPart(row, units.end, t);
        for (size_t part = 0; part < kPanelRows; part += Tile::kParts * kLaneRows) {
          AddSlice(t, part, units);
        }
      }
    }
  }

  void FillPanels(size_t row, Range units) {
    for (size_t i = 0; i < kPanelRows; i += kPackedRows) {
      // A group that is missing repeats the last; what it gives is not stored.
      const uint8_t* group = Group(std::min(row + i, share_.rows.end - 1));
      for (size_t u = units.begin; u < units.end; ++u) {
        panels_[u - units.begin].Fill(PackedUnit(group, geometry_, u, kSpec.code_bytes()),
                                      geometry_, i);
      }
    }
  }

  /// While a slice is multiplied with tokens [t, t + kTokens), asks for that share of the next one:
  /// units lie far apart in time, too far for the hardware to see a stream.
  HWY_INLINE void PrefetchPart(size_t row, size_t unit, size_t t) const {
    if (unit == geometry_.units) return;
    const size_t bytes = std::min(kSliceUnits, geometry_.units - unit) * geometry_.unit_bytes;
    const size_t end = bytes * (t + kTokens) / count_;
    for (size_t i = row; i < std::min(row + kPanelRows, share_.rows.end); i += kPackedRows) {
      const uint8_t* next = Group(i) + unit * geometry_.unit_bytes;
      for (size_t b = bytes * t / count_; b < end; b += 64) __builtin_prefetch(next + b, 0, 2);
    }
  }

  /// out += what `units` give tokens [t, t + kTokens).
  HWY_INLINE void AddSlice(size_t t, size_t row, Range units) {
    const PackedFloats df;
    typename Tile::Floats acc;
    HWY_UNROLL(8)
    for (size_t i = 0; i < kTokens; ++i) {
      for (size_t p = 0; p < Tile::kParts; ++p) {
        const float* out = &out_[t + i][row + p * kLaneRows];
        acc[i][p] = units.begin == 0 ? hn::Zero(df) : hn::LoadU(df, out);
      }
    }
    for (size_t u = units.begin; u < units.end; ++u) {
      Tile(panels_[u - units.begin], geometry_, block_.from(t), u, row).AddTo(acc);
    }
    HWY_UNROLL(8)
    for (size_t i = 0; i < kTokens; ++i) {
      for (size_t p = 0; p < Tile::kParts; ++p) {
        hn::StoreU(acc[i][p], df, &out_[t + i][row + p * kLaneRows]);
      }
    }
  }

  void StoreTokens(size_t row, size_t first, size_t tokens) const {
    const size_t rows = std::min(kPanelRows, share_.rows.end - row);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t i = 0; i < rows; i += kPackedRows) {
        StoreRows(share_, first + t, row + i, out_[t] + i);
      }
    }
  }

  const MatMulShare& share_;
  const PackedGeometry& geometry_;
  const Q8Rows& x_;
  const GroupSums& sums_;
  size_t count_ = 0;  // tokens of the block, in whole tiles
  Block block_;
  Panel panels_[kSliceUnits];
  alignas(64) float out_[Block::kMaxTokens][kPanelRows];
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_BYTE_GEMM

#endif  // CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_

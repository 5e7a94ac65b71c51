// Products of many tokens on the tile units (AMX-BF16), from the packed form or from rows of
// floats.
//
// What bounds the tile units is the way of the tokens' tiles from L2 and of the sums to L2 and back
// (docs/measurements.md), so the product is cut into blocks that stay there:
//
//   tokens in blocks of 512, rows in blocks of 8 pairs of row groups: 512 KiB of sums
//   columns in panels of 512: the tokens' tiles of a panel (512 KiB) serve all row pairs of a block
//   a panel of a row pair (32 KiB of B tiles) stays in L1, and is decoded while the tile units work
//   on the panel before it
//
// A row pair is 32 neighbouring rows, or 16 rows each of W_gate and W_up, whose sums then become
// the tiles that W_down reads: f(gate) ⊙ up is never written as a matrix of floats.
#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "kernels/amx.h"
#include "kernels/format_table.h"
#include "kernels/isa.h"
#include "kernels/matmul_kernels.h"
#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/packed/gemm_amx.cc"
#include <hwy/foreach_target.h>

#include "kernels/packed/float_tiles-inl.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/sources.h"
#include "kernels/packed/tile_results-inl.h"
#include "kernels/packed/tile_steps-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

constexpr size_t kPanelBytes = kPanelTiles * 2 * kTileBytes;
constexpr size_t kBlockTokens = 512;
constexpr size_t kBlockPairs = 8;  // of row groups
static_assert(2 * kPanelBytes +
                  (2 + kBlockPairs * (kBlockTokens / kPairTokens)) * kSumFloats * sizeof(float) <=
              Team::kScratchBytes);

/// B tiles from the packed form. (float_tiles-inl.h has those from floats.)
template <PackedSpec kSpec>
class PackedTiles {
 public:
  /// Sixteen rows.
  using Group = const uint8_t*;

  explicit PackedTiles(const Matrix& w) : geometry_(GeometryOf(w)) {}

  Group GroupAt(const Matrix& w, size_t index) const {
    return static_cast<const uint8_t*>(w.data) + index * geometry_.group_bytes;
  }

  /// Asks for piece `piece` of kPanelTiles of the weights of a panel that begins at `tile`.
  HWY_INLINE void Fetch(Group group, size_t tile, size_t piece) const {
    constexpr size_t kUnits = kPanelTiles * kTileColumns / kSpec.unit_columns();
    const size_t bytes = kUnits * geometry_.unit_bytes;
    const uint8_t* from = group + tile * kTileColumns / kSpec.unit_columns() * geometry_.unit_bytes;
    const size_t end = (piece + 1) * bytes / kPanelTiles;
    for (size_t i = piece * bytes / kPanelTiles; i < end; i += 64) {
      __builtin_prefetch(from + i, 0, 2);
    }
  }

  /// Decodes tile `tile` to `out`, with a step of the product beside it.
  template <class AnyWork>
  CROSSOVER_TILES HWY_INLINE void DecodeWith(const uint8_t* x, const uint8_t* w, size_t count,
                                             const uint8_t* ahead, Group group, size_t tile,
                                             uint8_t* out, AnyWork& work) const {
    static constexpr auto kSteps = TileStepFunctions<kSpec, AnyWork>();
    const PackedUnit unit(group, geometry_, tile / kSteps.size(), kSpec.code_bytes());
    kSteps[tile % kSteps.size()](x, w, count, ahead, unit, geometry_, out, work);
  }

 private:
  PackedGeometry geometry_;
};

/// Two row groups; the second may repeat the first where there is no other.
template <class Weights>
using RowPair = std::array<typename Weights::Group, 2>;

/// The product of a block of tokens with a block of row pairs.
template <class Weights>
class TileBlock {
 public:
  /// `x`: the tiles of the block's tokens; `scratch`: the worker's.
  TileBlock(const Weights& weights, size_t cols, const uint8_t* x, size_t tokens,
            std::span<const RowPair<Weights>> rows, std::byte* scratch)
      : weights_(weights),
        tiles_(cols / kTileColumns),
        x_(x),
        token_pairs_((tokens + kPairTokens - 1) / kPairTokens),
        rows_(rows),
        panels_(reinterpret_cast<uint8_t*>(scratch)),
        finals_(reinterpret_cast<float*>(panels_ + 2 * kPanelBytes)),
        sums_(finals_ + 2 * kSumFloats) {}

  size_t token_pairs() const { return token_pairs_; }
  /// Tokens [0, 16) × both groups, then tokens [16, 32): [4][16][16].
  float* sums(size_t row_pair, size_t token_pair) const {
    return sums_ + (row_pair * token_pairs_ + token_pair) * kSumFloats;
  }

  /// With NoWork, all sums stay where sums() says. Else the results take those of a pair of token
  /// tiles as soon as nothing is added to them any more, while they are in L1, and do their work on
  /// them beside the products after.
  template <class Results>
  CROSSOVER_TILES void Run(Results& results) {
    const size_t panels = (tiles_ + kPanelTiles - 1) / kPanelTiles * rows_.size();
    NoWork none;
    Aim(0);
    while (decoded_ < pieces_) DecodeWith(x_, x_, 0, x_, none);
    for (size_t i = 0; i < panels; ++i) {
      const size_t first = i / rows_.size() * kPanelTiles;
      const Panel panel{i % rows_.size(), first, std::min(kPanelTiles, tiles_ - first),
                        panels_ + i % 2 * kPanelBytes};
      if (i + 1 < panels) Aim(i + 1);
      if (first + panel.tiles == tiles_) {
        MultiplyPanel(panel, results);
      } else {
        MultiplyPanel(panel, none);
      }
      while (decoded_ < pieces_) DecodeWith(x_, x_, 0, x_, none);
    }
  }

 private:
  /// A panel of a row pair, decoded.
  struct Panel {
    size_t row_pair;
    size_t first_tile;
    size_t tiles;
    const uint8_t* data;
  };

  template <class Results>
  CROSSOVER_TILES HWY_INLINE void MultiplyPanel(const Panel& panel, Results& results) {
    constexpr bool kStay = std::is_same_v<Results, NoWork>;
    std::conditional_t<kStay, NoWork, Work>& work = results;
    for (size_t t = 0; t < token_pairs_; ++t) {
      float* out = sums(panel.row_pair, t);
      LoadSums(out, panel.first_tile == 0);
      const uint8_t* x = x_ + (t * tiles_ + panel.first_tile) * 2 * kTileBytes;
      const uint8_t* ahead = NextTokens(panel.first_tile, panel.row_pair, t);
      for (size_t k = 0; k < panel.tiles; k += kStepTiles, ahead += kStepTiles * kAheadBytes) {
        const size_t offset = k * 2 * kTileBytes;
        const size_t tiles = std::min(kStepTiles, panel.tiles - k);
        if (decoded_ < pieces_) {
          DecodeWith(x + offset, panel.data + offset, tiles, ahead, work);
        } else {
          TileStep(x + offset, panel.data + offset, tiles, ahead, work);
        }
      }
      if constexpr (kStay) {
        StoreSums(out);
      } else {
        float* finals = finals_ + t % 2 * kSumFloats;
        StoreSums(finals);
        results.Take(panel.row_pair, t, finals, panel.tiles);
      }
    }
  }

  /// Turns the decoder to panel `index`: K panels outermost, so that the tokens' tiles of one are
  /// still in the cache for the next row pair.
  void Aim(size_t index) {
    pair_ = &rows_[index % rows_.size()];
    first_tile_ = index / rows_.size() * kPanelTiles;
    pieces_ = 2 * std::min(kPanelTiles, tiles_ - first_tile_);
    decoded_ = 0;
    target_ = panels_ + index % 2 * kPanelBytes;
    const size_t next_tile = (index + 1) / rows_.size() * kPanelTiles;
    const bool more = next_tile < tiles_;
    next_pair_ = more ? &rows_[(index + 1) % rows_.size()] : pair_;
    next_tile_ = more ? next_tile : first_tile_;
  }

  /// The part of the next panel's tokens that is fetched beside a pair of token tiles; each row
  /// pair fetches another.
  const uint8_t* NextTokens(size_t first_tile, size_t row_pair, size_t token_pair) const {
    const size_t next = first_tile + kPanelTiles < tiles_ ? first_tile + kPanelTiles : 0;
    return x_ + (token_pair * tiles_ + next) * 2 * kTileBytes +
           row_pair * kPanelTiles * kAheadBytes;
  }

  /// Decodes one tile, with a step of the product beside it.
  template <class AnyWork>
  CROSSOVER_TILES HWY_INLINE void DecodeWith(const uint8_t* x, const uint8_t* w, size_t count,
                                             const uint8_t* ahead, AnyWork& work) {
    // The panel after the one that is decoded comes from memory.
    weights_.Fetch((*next_pair_)[decoded_ % 2], next_tile_, decoded_ / 2);
    weights_.DecodeWith(x, w, count, ahead, (*pair_)[decoded_ % 2], first_tile_ + decoded_ / 2,
                        target_ + decoded_ * kTileBytes, work);
    ++decoded_;
  }

  CROSSOVER_TILES static HWY_INLINE void LoadSums(const float* sums, bool zero) {
    if (zero) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, sums, 64);
      _tile_loadd(1, sums + kTileFloats, 64);
      _tile_loadd(2, sums + 2 * kTileFloats, 64);
      _tile_loadd(3, sums + 3 * kTileFloats, 64);
    }
  }
  CROSSOVER_TILES static HWY_INLINE void StoreSums(float* sums) {
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + kTileFloats, 64);
    _tile_stored(2, sums + 2 * kTileFloats, 64);
    _tile_stored(3, sums + 3 * kTileFloats, 64);
  }

  const Weights& weights_;
  size_t tiles_;  // of columns
  const uint8_t* x_;
  size_t token_pairs_;
  std::span<const RowPair<Weights>> rows_;
  uint8_t* panels_;
  float* finals_;  // double-buffered: pair t of token tiles uses buffer t % 2
  float* sums_;
  // The decoder's place.
  const RowPair<Weights>* pair_ = nullptr;
  const RowPair<Weights>* next_pair_ = nullptr;
  size_t next_tile_ = 0;
  size_t first_tile_ = 0;
  size_t pieces_ = 0;
  size_t decoded_ = 0;
  uint8_t* target_ = nullptr;
};

/// Multiplies all blocks of tokens and row pairs; pair_at(weights, i) is the i-th row pair.
/// run(block, first token, first row pair, pairs) runs a block and sees to its results.
template <class Weights, class PairAt, class RunBlock>
CROSSOVER_TILES void ForEachBlock(const MatMulShare& share, const uint8_t* x, size_t pairs,
                                  const PairAt& pair_at, const RunBlock& run) {
  const Weights weights(*share.w);
  const size_t cols = share.w->cols;
  RowPair<Weights> rows[kBlockPairs];
  SetUpTiles();
  for (size_t t0 = 0; t0 < share.tokens; t0 += kBlockTokens) {
    const size_t tokens = std::min(kBlockTokens, share.tokens - t0);
    for (size_t first = 0; first < pairs; first += kBlockPairs) {
      const size_t count = std::min(kBlockPairs, pairs - first);
      for (size_t i = 0; i < count; ++i) rows[i] = pair_at(weights, first + i);
      TileBlock<Weights> block(weights, cols, x + t0 * cols * 2, tokens, {rows, count},
                               share.scratch.data());
      run(block, t0, first, count);
    }
  }
  _tile_release();
}

template <class Weights>
CROSSOVER_TILES void GemmTiles(const MatMulShare& share, const uint8_t* x) {
  const size_t groups = (share.rows.size() + kPackedRows - 1) / kPackedRows;
  const size_t first_group = share.rows.begin / kPackedRows;
  const auto pair_at = [&](const Weights& weights, size_t i) {
    // An odd group at the end is computed twice, and stored once.
    const size_t second = std::min(2 * i + 1, groups - 1);
    return RowPair<Weights>{weights.GroupAt(*share.w, first_group + 2 * i),
                            weights.GroupAt(*share.w, first_group + second)};
  };
  const auto run = [&](TileBlock<Weights>& block, size_t t0, size_t first, size_t count)
                       CROSSOVER_TILES {
                         NoWork none;
                         block.Run(none);
                         for (size_t t = 0; t < block.token_pairs(); ++t) {
                           for (size_t i = 0; i < count; ++i) {
                             const float* sums = block.sums(i, t);
                             const size_t row = share.rows.begin + 2 * (first + i) * kPackedRows;
                             for (size_t tile = 0; tile < 4; ++tile) {
                               StoreTile(share, t0 + t * kPairTokens + tile / 2 * 16,
                                         row + tile % 2 * kPackedRows, sums + tile * kTileFloats);
                             }
                           }
                         }
                       };
  ForEachBlock<Weights>(share, x, (groups + 1) / 2, pair_at, run);
}

/// `share`: of W_gate's rows; `out`: the tiles of f(W_gate·x) ⊙ W_up·x.
template <class Weights>
CROSSOVER_TILES void GatedTiles(const MatMulShare& share, const Matrix& up, const uint8_t* x,
                                uint8_t* out) {
  const size_t first_group = share.rows.begin / kPackedRows;
  const size_t width = share.w->rows;
  const auto pair_at = [&](const Weights& weights, size_t i) {
    return RowPair<Weights>{weights.GroupAt(*share.w, first_group + i),
                            weights.GroupAt(up, first_group + i)};
  };
  const auto run = [&](TileBlock<Weights>& block, size_t t0, size_t first, size_t) CROSSOVER_TILES {
    GatedResults results(share.gate, out + t0 * width * 2, width, first_group + first);
    block.Run(results);
    results.Finish();
  };
  ForEachBlock<Weights>(share, x, share.rows.size() / kPackedRows, pair_at, run);
}

using TileTable = FormatTable<GemmTilesFn>;
using GatedTable = FormatTable<GatedTilesFn>;

/// select.template operator()<B tiles of the format>(), null where no kernel makes them.
template <class Fn, class Select>
constexpr FormatTable<Fn> TileFunctions(Select select) {
  return MakeFormatTable<Fn>([=]<class F>() -> Fn {
    if constexpr (PackedSource<F>::kExists) {
      return select.template operator()<PackedTiles<CompiledSpec(PackedSource<F>::kSpec)>>();
    } else if constexpr (HasFloatTiles<F>()) {
      return select.template operator()<FloatTiles<F>>();
    }
    return nullptr;
  });
}

const TileTable& GemmTileFunctions() {
  static constexpr TileTable kTable =
      TileFunctions<GemmTilesFn>([]<class Weights>() -> GemmTilesFn { return GemmTiles<Weights>; });
  return kTable;
}

const GatedTable& GatedTileFunctions() {
  static constexpr GatedTable kTable = TileFunctions<GatedTilesFn>(
      []<class Weights>() -> GatedTilesFn { return GatedTiles<Weights>; });
  return kTable;
}

#else

using TileTable = FormatTable<GemmTilesFn>;
using GatedTable = FormatTable<GatedTilesFn>;

const TileTable& GemmTileFunctions() {
  static constexpr TileTable kNone{};
  return kNone;
}

const GatedTable& GatedTileFunctions() {
  static constexpr GatedTable kNone{};
  return kNone;
}

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(GemmTileFunctions);
HWY_EXPORT(GatedTileFunctions);
}  // namespace

std::span<const GemmTilesFn> GemmTilesTable() {
  static constexpr FormatTable<GemmTilesFn> kNone{};
  if (!TilesSelected()) return kNone;
  return HWY_DYNAMIC_DISPATCH(GemmTileFunctions)();
}

std::span<const GatedTilesFn> GatedTilesTable() {
  static constexpr FormatTable<GatedTilesFn> kNone{};
  if (!TilesSelected()) return kNone;
  return HWY_DYNAMIC_DISPATCH(GatedTileFunctions)();
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

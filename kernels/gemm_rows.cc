// Products of many tokens in bytes with rows as they lie in the file, of formats that say how a
// block comes apart (quant/parts.h) and have no packed form: 16 or 32 rows' blocks become the panel
// that the packed form's do (packed/unit_panel-inl.h), once for a block of tokens.
//
// All of them share two kinds of panel, in which a code c stands as c + 64 in seven bits: with
// small integer scales for 16 columns under a float, or with a float for a block.
#include <algorithm>

#include "kernels/dotprod.h"
#include "kernels/format_table.h"
#include "kernels/gemm_rows.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_rows.cc"
#include <hwy/foreach_target.h>

#include "kernels/decode/decoder-inl.h"
#include "kernels/half-inl.h"
#include "kernels/packed/store_rows-inl.h"
#include "kernels/packed/token_block-inl.h"
#include "kernels/packed/unit_panel-inl.h"
#include "kernels/packed/unit_tile-inl.h"
#include "quant/format_list.h"

#ifndef CROSSOVER_KERNELS_GEMM_ROWS_ONCE_
#define CROSSOVER_KERNELS_GEMM_ROWS_ONCE_
namespace crossover::kernels {

inline constexpr PackedSpec kSmallScales{
    .bits = 7, .offset = 64, .scales = PackedScales::kSixBits, .group = 16};
inline constexpr PackedSpec kBlockScales{.bits = 7, .offset = 64, .scales = PackedScales::kHalf};

/// Formats whose panels there are.
template <class F>
concept MakesPanels = quant::IntegerParts<F> ||
    (quant::FloatParts<F>&& F::kGroup == F::kBlockWeights);

template <MakesPanels F>
inline constexpr PackedSpec kPanelSpec = quant::IntegerParts<F> ? kSmallScales : kBlockScales;

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if CROSSOVER_BYTE_GEMM

/// As kSumScale wants a scale.
template <PackedSpec kSpec>
constexpr int32_t ScaleOfSums(int32_t scale) {
  return kSumScale<kSpec> == SumScale::kPairs ? scale | scale << 16 : scale;
}

/// One block to codes below 128, its scales to where row `row` of the panel has those of block `b`.
template <class F>
HWY_INLINE void TakeBlock(const typename F::Block& block, size_t b, size_t row, uint8_t* codes,
                          UnitPanel<kPanelSpec<F>>& panel) {
  constexpr PackedSpec kSpec = kPanelSpec<F>;
  auto* signed_codes = reinterpret_cast<int8_t*>(codes);
  if constexpr (quant::IntegerParts<F>) {
    uint8_t scales[F::kBlockWeights / F::kGroup];
    const quant::Half d = F::TakeApart(block, signed_codes, scales);
    panel.d[b][row] = HalfToFloat(d) * quant::PowerDown(F::kDown);
    for (size_t g = 0; g < kSpec.groups(); g += 2) {
      const int32_t first = scales[g * kSpec.group / F::kGroup];
      const int32_t second = scales[(g + 1) * kSpec.group / F::kGroup];
      panel.scales[g][row] = ScaleOfSums<kSpec>(first);
      panel.scales[g + 1][row] = ScaleOfSums<kSpec>(second);
      // Both times the offset, which is what sums of activations meet.
      panel.sums[g / 2][row] = first << 6 | second << 22;
    }
  } else {
    F::TakeApart(block, signed_codes, &panel.d[b][row]);
  }
  const Bytes d;
  for (size_t i = 0; i < F::kBlockWeights; i += hn::Lanes(d)) {
    hn::StoreU(hn::Add(hn::LoadU(d, codes + i), hn::Set(d, 64)), d, codes + i);
  }
}

/// 16 rows' codes to the panel's rows from `first` on: four rows' dwords of four steps at a time.
template <PackedSpec kSpec>
HWY_INLINE void Transpose(const uint8_t (*codes)[kSpec.unit_columns()], size_t first,
                          UnitPanel<kSpec>& panel) {
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> d64;
  const hn::FixedTag<uint8_t, 16> d8;
  for (size_t r = 0; r < kPackedRows; r += 4) {
    for (size_t s = 0; s < kSpec.unit_columns() / 4; s += 4) {
      const auto row = [&](size_t i)
                           HWY_ATTR { return hn::BitCast(d, hn::LoadU(d8, codes[r + i] + 4 * s)); };
      const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, row(0), row(1)));
      const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, row(0), row(1)));
      const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, row(2), row(3)));
      const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, row(2), row(3)));
      const auto store = [&](size_t i, auto v) HWY_ATTR {
        hn::StoreU(hn::BitCast(d8, v), d8, &panel.factors[s + i][4 * (first + r)]);
      };
      store(0, hn::InterleaveLower(d64, low01, low23));
      store(1, hn::InterleaveUpper(d64, low01, low23));
      store(2, hn::InterleaveLower(d64, high01, high23));
      store(3, hn::InterleaveUpper(d64, high01, high23));
    }
  }
}

/// Unit u of rows [row, row + kPanelRows).
template <class F>
void FillPanel(const MatMulShare& share, size_t row, size_t u, UnitPanel<kPanelSpec<F>>& panel) {
  constexpr PackedSpec kSpec = kPanelSpec<F>;
  constexpr size_t kBlocks = kSpec.unit_columns() / F::kBlockWeights;
  constexpr size_t kPrefetchedUnits = 4;
  alignas(64) uint8_t codes[kPackedRows][kSpec.unit_columns()];
  const size_t count = std::min(kBlocks, share.w->cols / F::kBlockWeights - u * kBlocks);
  for (size_t first = 0; first < kPanelRows; first += kPackedRows) {
    for (size_t i = 0; i < kPackedRows; ++i) {
      // A row that is missing repeats the last; what it gives is not stored.
      const size_t r = std::min(row + first + i, share.rows.end - 1);
      const auto* blocks = reinterpret_cast<const typename F::Block*>(share.row(r)) + u * kBlocks;
      __builtin_prefetch(blocks + kPrefetchedUnits * kBlocks, 0, 3);
      for (size_t b = 0; b < count; ++b) {
        TakeBlock<F>(blocks[b], b, first + i, codes[i] + b * F::kBlockWeights, panel);
      }
      // Activations behind the row's end are zero: any codes do.
      for (size_t b = count; b < kBlocks; ++b) {
        std::fill_n(codes[i] + b * F::kBlockWeights, F::kBlockWeights, uint8_t{0});
        panel.d[b][first + i] = 0.0f;
      }
    }
    Transpose<kSpec>(codes, first, panel);
  }
}

/// All rows of a share; as ByteGemm does with the packed form. Formats share its code, and differ
/// in how they fill panels.
template <PackedSpec kSpec>
class RowsGemm {
 public:
  using Panel = UnitPanel<kSpec>;
  using Fill = void (*)(const MatMulShare& share, size_t row, size_t u, Panel& panel);

  RowsGemm(const MatMulShare& share, size_t block_weights, const Q8Rows& x, Fill fill)
      : share_(share), geometry_(kSpec, block_weights, share.w->cols), x_(x), fill_(fill) {}

  void Run() {
    const GroupSums& sums = x_.sums(kSpec.has_groups() ? kSpec.group : geometry_.block);
    const size_t most = Block::MostTokens(geometry_, x_, share_.scratch.size());
    // A model's widths leave room for far more than a tile (kMaxModelWidth).
    const size_t step = std::max(kTokens, most / kTokens * kTokens);
    for (size_t first = 0; first < share_.tokens; first += step) {
      const size_t tokens = std::min(step, share_.tokens - first);
      const size_t count = (tokens + kTokens - 1) / kTokens * kTokens;
      block_.Take(geometry_, x_, sums, first, tokens, count, share_.scratch.data());
      for (size_t row = share_.rows.begin; row < share_.rows.end; row += kPanelRows) {
        RunRows(row, count);
        for (size_t t = 0; t < tokens; ++t) {
          for (size_t i = 0; i < std::min(kPanelRows, share_.rows.end - row); i += kPackedRows) {
            StoreRows(share_, first + t, row + i, out_[t] + i);
          }
        }
      }
    }
  }

 private:
  using Tile = UnitTile<kSpec>;
  using Block = TokenBlock<kSpec>;
  static constexpr size_t kTokens = Tile::kTokens;
  static constexpr size_t kSliceUnits = 2;

  HWY_NOINLINE void RunRows(size_t row, size_t count) {
    for (size_t begin = 0; begin < geometry_.units; begin += kSliceUnits) {
      const Range units = {begin, std::min(geometry_.units, begin + kSliceUnits)};
      for (size_t u = units.begin; u < units.end; ++u) fill_(share_, row, u, panels_[u - begin]);
      for (size_t t = 0; t < count; t += kTokens) {
        for (size_t part = 0; part < kPanelRows; part += Tile::kParts * kLaneRows) {
          AddSlice(t, part, units);
        }
      }
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

  const MatMulShare& share_;
  const PackedGeometry geometry_;
  const Q8Rows& x_;
  Fill fill_;
  Block block_;
  Panel panels_[kSliceUnits];
  alignas(64) float out_[Block::kMaxTokens][kPanelRows];
};

template <class F>
void GemmRows(const MatMulShare& share, const Q8Rows& x) {
  RowsGemm<kPanelSpec<F>>(share, F::kBlockWeights, x, FillPanel<F>).Run();
}

#endif  // CROSSOVER_BYTE_GEMM

using RowsTable = FormatTable<GemvQ8Fn>;

const RowsTable& GemmRowsFunctions() {
  static constexpr RowsTable kTable = MakeFormatTable<GemvQ8Fn>([]<class F>() -> GemvQ8Fn {
#if CROSSOVER_BYTE_GEMM
    if constexpr (MakesPanels<F>) return GemmRows<F>;
#endif
    return nullptr;
  });
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
#if CROSSOVER_HAS_DOTPROD
namespace N_DOTPROD {
const FormatTable<GemvQ8Fn>& GemmRowsFunctions();
}
#endif

namespace {
HWY_EXPORT(GemmRowsFunctions);
}

std::span<const GemvQ8Fn> GemmRowsTable() {
#if CROSSOVER_HAS_DOTPROD
  if (DotprodSelected()) return N_DOTPROD::GemmRowsFunctions();
#endif
  return HWY_DYNAMIC_DISPATCH(GemmRowsFunctions)();
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

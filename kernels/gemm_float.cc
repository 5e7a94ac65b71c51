// Products in float32: y = x · Wᵀ with W decoded on the way.
//
// Both operands have k contiguous, so the tile is a block of dot products: 4 rows × kTokenTile
// tokens in vector accumulators, summed across lanes once per block of k. A panel of W is decoded
// once and stays in L2 (in L1 for few tokens) while all tokens pass.
#include <algorithm>
#include <array>
#include <utility>

#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_float.cc"
#include <hwy/foreach_target.h>

#include "kernels/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;

// 4 × kTokenTile accumulators, kTokenTile activations and one weight have to fit the registers:
// 24 + 6 + 1 of 32, 12 + 3 + 1 of 16; without a fused multiply-add one more is lost.
constexpr size_t kRows = 4;
#if HWY_TARGET == HWY_AVX2
constexpr size_t kTokenTile = 3;
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SCALAR
constexpr size_t kTokenTile = 2;
#else
constexpr size_t kTokenTile = 6;
#endif

// k is cut so that kTokenTile tokens fit L1 (24 KiB of 32 or 48); long enough that the sums across
// lanes at the end cost little. The panel takes 256 KiB of L2, or 64 KiB where few tokens use it.
constexpr size_t kDepth = 1024;
constexpr size_t kPanelRows = 64;
constexpr size_t kPanelRowsForFewTokens = 16;
static_assert(kPanelRows * kDepth * sizeof(float) <= Team::kScratchBytes);
static_assert(kRowTile % kRows == 0 && kPanelRowsForFewTokens % kRows == 0);

/// Sums of four vectors' lanes, in this order.
HWY_INLINE void Sum4(const VF* v, float* sums) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t i = 0; i < kRows; ++i) sums[i] = hn::GetLane(v[i]);
#else
  // Within blocks of four lanes: transpose and add twice; then add the blocks. 13 ops with 16
  // lanes, a third of four separate sums.
  const DF d;
  const hn::Repartition<double, DF> d64;
  const auto ab = hn::Add(hn::InterleaveLower(d, v[0], v[1]), hn::InterleaveUpper(d, v[0], v[1]));
  const auto cd = hn::Add(hn::InterleaveLower(d, v[2], v[3]), hn::InterleaveUpper(d, v[2], v[3]));
  const auto ab64 = hn::BitCast(d64, ab);
  const auto cd64 = hn::BitCast(d64, cd);
  const auto abcd = hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, ab64, cd64)),
                            hn::BitCast(d, hn::InterleaveUpper(d64, ab64, cd64)));
  alignas(64) float lanes[hn::MaxLanes(d)];
  hn::Store(abcd, d, lanes);
  const hn::CappedTag<float, 4> d4;
  auto sum = hn::Load(d4, lanes);
  for (size_t i = 4; i < hn::Lanes(d); i += 4) sum = hn::Add(sum, hn::Load(d4, lanes + i));
  hn::StoreU(sum, d4, sums);
#endif
}

/// sums[t][i] = Σ_k w[i][k] · x[t][k] for kRows rows of a panel.
template <size_t kTokens>
HWY_NOINLINE void Tile(const float* HWY_RESTRICT w, size_t w_stride, const float* HWY_RESTRICT x,
                       size_t x_stride, size_t depth, float* HWY_RESTRICT sums) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  VF acc[kTokens][kRows];
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t i = 0; i < kRows; ++i) acc[t][i] = hn::Zero(d);
  }
  const size_t whole = depth / lanes * lanes;
  for (size_t k = 0; k < whole; k += lanes) {
    VF a[kTokens];
    for (size_t t = 0; t < kTokens; ++t) a[t] = hn::LoadU(d, x + t * x_stride + k);
    for (size_t i = 0; i < kRows; ++i) {
      const VF b = hn::LoadU(d, w + i * w_stride + k);
      for (size_t t = 0; t < kTokens; ++t) acc[t][i] = hn::MulAdd(a[t], b, acc[t][i]);
    }
  }
  for (size_t t = 0; t < kTokens; ++t) Sum4(acc[t], sums + t * kRows);
  for (size_t k = whole; k < depth; ++k) {  // rows of F32, F16 and BF16 have any length
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t i = 0; i < kRows; ++i) {
        sums[t * kRows + i] += w[i * w_stride + k] * x[t * x_stride + k];
      }
    }
  }
}

using TileFn = void (*)(const float*, size_t, const float*, size_t, size_t, float*);

template <size_t... kTokens>
constexpr std::array<TileFn, sizeof...(kTokens)> TileTable(std::index_sequence<kTokens...>) {
  return {Tile<kTokens + 1>...};
}

void RoundRow(const float* x, size_t n, float* out) {
  const DF d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(RoundToBFloat16(d, hn::LoadU(d, x + i)), d, out + i);
  }
  for (; i < n; ++i) out[i] = quant::BFloat16::FromFloat(x[i]).ToFloat();
}

/// Decodes W[rows][k0, k0 + depth) into panel[·][kDepth]; rows that are missing for a whole tile
/// repeat the last, their results are dropped.
void DecodePanel(const MatMulShare& share, Range rows, size_t k0, size_t depth, bool round,
                 float* panel) {
  const quant::FormatInfo& info = quant::Info(share.w->format);
  const DecodeRowFn decode = DecodeRowTable()[FormatIndex(share.w->format)];
  const size_t padded = (rows.size() + kRows - 1) / kRows * kRows;
  for (size_t i = 0; i < padded; ++i) {
    const size_t r = std::min(rows.begin + i, rows.end - 1);
    float* out = panel + i * kDepth;
    decode(share.row(r) + info.row_bytes(k0), depth, out);
    if (round) RoundRow(out, depth, out);
  }
}

/// Adds a block of sums to y, or starts it.
HWY_INLINE void StoreSums(const MatMulShare& share, bool first, size_t t, size_t r, size_t rows,
                          const float* sums) {
  float* y = share.y + t * share.y_stride + r;
  for (size_t i = 0; i < rows; ++i) {
    float value = sums[i];
    if (first && share.bias != nullptr) value += share.bias[r + i];
    if (!first || share.accumulate) value += y[i];
    y[i] = value;
  }
}

void GemmPanels(const MatMulShare& share, const float* x, bool round) {
  static constexpr auto kTiles = TileTable(std::make_index_sequence<kTokenTile>());
  const size_t cols = share.w->cols;
  const size_t panel_rows = share.tokens <= kMaxGemvTokens ? kPanelRowsForFewTokens : kPanelRows;
  auto* panel = reinterpret_cast<float*>(share.scratch.data());
  float sums[kTokenTile * kRows];

  for (size_t r0 = share.rows.begin; r0 < share.rows.end; r0 += panel_rows) {
    const Range rows{r0, std::min(r0 + panel_rows, share.rows.end)};
    for (size_t k0 = 0; k0 < cols; k0 += kDepth) {
      const size_t depth = std::min(kDepth, cols - k0);
      DecodePanel(share, rows, k0, depth, round, panel);
      for (size_t t0 = 0; t0 < share.tokens; t0 += kTokenTile) {
        const size_t tokens = std::min(kTokenTile, share.tokens - t0);
        for (size_t r = rows.begin; r < rows.end; r += kRows) {
          kTiles[tokens - 1](panel + (r - r0) * kDepth, kDepth, x + t0 * cols + k0, cols, depth,
                             sums);
          for (size_t t = 0; t < tokens; ++t) {
            StoreSums(share, k0 == 0, t0 + t, r, std::min(kRows, rows.end - r), sums + t * kRows);
          }
        }
      }
    }
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(GemmPanels);
HWY_EXPORT(RoundRow);
}  // namespace

void GemmFloat(const MatMulShare& share, const float* x, bool round) {
  HWY_DYNAMIC_DISPATCH(GemmPanels)(share, x, round);
}

void RoundRowToBFloat16(const float* x, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(RoundRow)(x, n, out);
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

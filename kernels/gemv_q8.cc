// Products for few tokens: integer dot products of weight codes and 8-bit activations.
//
// For a chunk of 256 columns, with the groups g of the weights:
//   y[t] += Σ_g (scale[g] · xscale[t]) · Σ_{k∈g} code[k] · xcode[t][k]  -  Σ_g min[g] · xsum[t][g]
// The chunk is unpacked once, into L1, and used for all tokens. A lane holds the sum of four
// neighbouring products, so a vector of N lanes covers 4N columns, of one group or of several.
#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemv_q8.cc"
#include <hwy/foreach_target.h>

#include "kernels/decode/all-inl.h"
#include "kernels/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;

inline constexpr size_t kLanes = hn::MaxLanes(DF());
inline constexpr size_t kVectorWeights = 4 * kLanes;
// One partial sum a lane for each of these tokens is kept in L1; more tokens take another pass.
inline constexpr size_t kMaxTokens = 64;
// Scales and minima of a chunk: at most 16 groups, a whole vector in any case.
inline constexpr size_t kMaxGroups = 16;

template <class F>
struct Chunk {
  using D = Decoder<F>;
  static constexpr size_t kGroup = D::kGroup;
  static constexpr size_t kGroups = kChunkWeights / kGroup;

  alignas(64) typename D::Code codes[kChunkWeights];
  alignas(64) float scales[kMaxGroups];
  alignas(64) float mins[kMaxGroups];

  Chunk() {
    std::fill_n(scales, kMaxGroups, 0.0f);
    std::fill_n(mins, kMaxGroups, 0.0f);
  }

  /// `n` weights from `blocks`; zeros behind them.
  HWY_INLINE void Unpack(const typename F::Block* blocks, size_t n) {
    constexpr size_t kBlockGroups = F::kBlockWeights / kGroup;
    const size_t count = n / F::kBlockWeights;
    for (size_t b = 0; b < count; ++b) {
      D::Unpack(blocks[b], codes + b * F::kBlockWeights, scales + b * kBlockGroups,
                mins + b * kBlockGroups);
    }
    if (n < kChunkWeights) {
      std::fill(codes + n, codes + kChunkWeights, typename D::Code{0});
      std::fill(scales + n / kGroup, scales + kMaxGroups, 0.0f);
      std::fill(mins + n / kGroup, mins + kMaxGroups, 0.0f);
    }
  }
};

/// Lanes of vector v get the products' scale of their group.
template <size_t kGroup>
HWY_INLINE VF LaneScales(const float* products, size_t v) {
  const DF d;
  if constexpr (kGroup >= kVectorWeights) {
    return hn::Set(d, products[v * kVectorWeights / kGroup]);
  } else {
    // A vector over several groups: choose each lane's among the N products that hold them.
    struct Indices {
      alignas(64) int32_t lane[kChunkWeights / kVectorWeights][kLanes];
    };
    static constexpr Indices kIndices = [] {
      Indices indices{};
      for (size_t i = 0; i < kChunkWeights / 4; ++i) {
        indices.lane[i / kLanes][i % kLanes] = static_cast<int32_t>(4 * i / kGroup % kLanes);
      }
      return indices;
    }();
    const size_t first = v * kVectorWeights / kGroup / kLanes * kLanes;
    return hn::TableLookupLanes(hn::Load(d, products + first),
                                hn::SetTableIndices(d, kIndices.lane[v]));
  }
}

/// sum + one token's products with a chunk, as partial sums in lanes.
template <class F>
HWY_INLINE VF AddChunk(VF sum, const Chunk<F>& w, const int8_t* HWY_RESTRICT codes,
                       const float* HWY_RESTRICT scales, const float* HWY_RESTRICT sums,
                       size_t vectors) {
  constexpr size_t kGroup = Chunk<F>::kGroup;
  constexpr size_t kGroups = Chunk<F>::kGroups;
  const DF d;
  alignas(64) float products[HWY_MAX(kMaxGroups, kLanes)];
  for (size_t g = 0; g < kGroups; g += kLanes) {
    // Blocks of 256 have one activation scale, blocks of 32 (one group) one each.
    const auto x =
        F::kBlockWeights == kChunkWeights ? hn::Set(d, *scales) : hn::LoadU(d, scales + g);
    hn::Store(hn::Mul(hn::Load(d, w.scales + g), x), d, products + g);
  }
  constexpr size_t kStep = HWY_MAX(size_t{1}, kGroup / kVectorWeights);  // vectors of one group
  for (size_t v = 0; v < vectors; v += kStep) {
    VI32 dot = hn::Zero(DI32());
    for (size_t i = v; i < v + kStep; ++i) {
      dot = Dot4(dot, w.codes + i * kVectorWeights, codes + i * kVectorWeights);
    }
    sum = hn::MulAdd(hn::ConvertTo(d, dot), LaneScales<kGroup>(products, v), sum);
  }
  if constexpr (Decoder<F>::kHasMin) {
    for (size_t g = 0; g < kGroups; g += kLanes) {
      sum = hn::NegMulAdd(hn::Load(d, w.mins + g), hn::LoadU(d, sums + g), sum);
    }
  }
  return sum;
}

/// One row for tokens [first, first + tokens); `partial` has kLanes floats a token.
template <class F>
HWY_INLINE void GemvRow(const MatMulShare& share, const Q8Rows& x, size_t row, size_t first,
                        size_t tokens, Chunk<F>& chunk, float* HWY_RESTRICT partial) {
  constexpr size_t kScales = kChunkWeights / F::kBlockWeights;
  constexpr bool kSixteen = Chunk<F>::kGroup == 16;
  const DF d;
  const auto* blocks = reinterpret_cast<const typename F::Block*>(share.row(row));
  const float* all_sums = kSixteen ? x.sums16 : x.sums32;
  const size_t sum_stride = kSixteen ? x.sum16_stride : x.sum32_stride;
  const size_t cols = share.w->cols;
  std::fill_n(partial, tokens * kLanes, 0.0f);
  for (size_t c = 0; c * kChunkWeights < cols; ++c) {
    const size_t n = std::min(kChunkWeights, cols - c * kChunkWeights);
    const size_t vectors = (n + kVectorWeights - 1) / kVectorWeights;
    chunk.Unpack(blocks + c * kScales, n);
    for (size_t t = 0; t < tokens; ++t) {
      const size_t token = first + t;
      const VF sum = AddChunk<F>(hn::Load(d, partial + t * kLanes), chunk,
                                 x.codes + token * x.code_stride + c * kChunkWeights,
                                 x.scales + token * x.scale_stride + c * kScales,
                                 all_sums + token * sum_stride + c * Chunk<F>::kGroups, vectors);
      hn::Store(sum, d, partial + t * kLanes);
    }
  }
}

template <class F>
void Gemv(const MatMulShare& share, const Q8Rows& x) {
  const DF d;
  Chunk<F> chunk;
  alignas(64) float partial[kMaxTokens * kLanes];
  for (size_t first = 0; first < share.tokens; first += kMaxTokens) {
    const size_t tokens = std::min(kMaxTokens, share.tokens - first);
    for (size_t row = share.rows.begin; row < share.rows.end; ++row) {
      GemvRow<F>(share, x, row, first, tokens, chunk, partial);
      for (size_t t = 0; t < tokens; ++t) {
        float value = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, partial + t * kLanes)));
        float& y = share.y[(first + t) * share.y_stride + row];
        if (share.bias != nullptr) value += share.bias[row];
        y = share.accumulate ? value + y : value;
      }
    }
  }
}

using Table = std::array<GemvQ8Fn, quant::AllFormats::kSize>;

const Table& GemvTable() {
  static constexpr Table kTable = [] {
    Table table{};
    size_t n = 0;
    quant::ForEachFormat([&]<class F>() {
      if constexpr (F::kQuantized) table[n] = Gemv<F>;
      ++n;
    });
    return table;
  }();
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(GemvTable);
}

std::span<const GemvQ8Fn> GemvQ8Table() { return HWY_DYNAMIC_DISPATCH(GemvTable)(); }

}  // namespace crossover::kernels
#endif  // HWY_ONCE

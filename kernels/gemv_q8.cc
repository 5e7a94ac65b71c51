// Products for few tokens: integer dot products of weight codes and 8-bit activations.
//
// For a chunk of 256 columns, with the groups g of the weights:
//   y[t] += Σ_g (scale[g] · xscale[t]) · Σ_{k∈g} code[k] · xcode[t][k]  -  Σ_g min[g] · xsum[t][g]
// Chunks are unpacked once, into L1, and used for all tokens. A lane holds the sum of four
// neighbouring products, so a vector of N lanes covers 4N columns, of one group or of several.
#include <algorithm>
#include <cstring>

#include "kernels/dotprod.h"
#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemv_q8.cc"
#include <hwy/foreach_target.h>

#include "kernels/decode/all-inl.h"
#include "kernels/decode/vectors-inl.h"
#include "kernels/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;

constexpr size_t kLanes = hn::MaxLanes(DF());
constexpr size_t kVectorWeights = 4 * kLanes;
// Two partial sums a lane for each of these tokens is kept in L1; more tokens take another pass.
constexpr size_t kMaxTokens = 64;
// Scales and minima of a chunk: at most 16 groups, a whole vector in any case.
constexpr size_t kMaxGroups = 16;

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

/// Partial sums of one token in lanes: two, so that additions need not wait for each other.
struct Sums {
  VF even;
  VF odd;
};

/// Adds one token's products with the first `vectors` vectors of a chunk.
template <class F>
HWY_INLINE void AddChunk(const Chunk<F>& w, const int8_t* HWY_RESTRICT codes,
                         const float* HWY_RESTRICT scales, const float* HWY_RESTRICT sums,
                         size_t vectors, Sums& total) {
  constexpr size_t kGroup = Chunk<F>::kGroup;
  constexpr size_t kGroups = Chunk<F>::kGroups;
  const DF d;
  alignas(64) float products[HWY_MAX(kMaxGroups, kLanes)];
  // Shorter blocks of several groups have one for them all.
  alignas(64) float repeated[HWY_MAX(kMaxGroups, kLanes)];
  constexpr bool kRepeats = F::kBlockWeights != kChunkWeights && F::kBlockWeights != kGroup;
  if constexpr (kRepeats) {
    for (size_t g = 0; g < kMaxGroups; ++g) repeated[g] = scales[g * kGroup / F::kBlockWeights];
    scales = repeated;
  }
  for (size_t g = 0; g < kGroups; g += kLanes) {
    // Blocks of 256 have one activation scale, blocks of one group one each.
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
    VF& sum = v / kStep % 2 == 0 ? total.even : total.odd;
    sum = hn::MulAdd(hn::ConvertTo(d, dot), LaneScales<kGroup>(products, v), sum);
  }
  if constexpr (Decoder<F>::kHasMin) {
    for (size_t g = 0; g < kGroups; g += kLanes) {
      VF& sum = g / kLanes % 2 == 0 ? total.odd : total.even;
      sum = hn::NegMulAdd(hn::Load(d, w.mins + g), hn::LoadU(d, sums + g), sum);
    }
  }
}

/// Chunks are unpacked this many at a time, then used: a vector load that spans several stores
/// would otherwise wait until those have left for the cache.
constexpr size_t kBatch = 8;

/// The activations that meet one format: which sums its minima are multiplied by.
template <class F>
struct Operand {
  static constexpr size_t kScales = kChunkWeights / F::kBlockWeights;
  static constexpr size_t kGroups = Chunk<F>::kGroups;

  const Q8Rows& x;
  const float* sums;
  size_t sum_stride;

  explicit Operand(const Q8Rows& rows)
      : x(rows),
        sums(rows.sums(Chunk<F>::kGroup).scaled),
        sum_stride(rows.sums(Chunk<F>::kGroup).stride) {}

  HWY_INLINE void Add(const Chunk<F>& w, size_t token, size_t c, size_t vectors,
                      Sums& total) const {
    const float* group_sums = nullptr;
    if constexpr (Decoder<F>::kHasMin) group_sums = sums + token * sum_stride + c * kGroups;
    AddChunk<F>(w, x.codes + token * x.code_stride + c * kChunkWeights,
                x.scales + token * x.scale_stride + c * kScales, group_sums, vectors, total);
  }
};

/// One row for tokens [first, first + tokens); `partial` has 2 · kLanes floats a token.
template <class F>
HWY_INLINE void GemvRow(const MatMulShare& share, const Operand<F>& x, size_t row, size_t first,
                        size_t tokens, Chunk<F>* chunks, float* HWY_RESTRICT partial) {
  constexpr size_t kVectors = kChunkWeights / kVectorWeights;
  const DF d;
  const auto* blocks = reinterpret_cast<const typename F::Block*>(share.row(row));
  const size_t cols = share.w->cols;
  const size_t whole = cols / kChunkWeights;
  const size_t rest = cols % kChunkWeights;
  const size_t all = whole + (rest != 0);
  std::fill_n(partial, tokens * 2 * kLanes, 0.0f);
  for (size_t begin = 0; begin < all; begin += kBatch) {
    const size_t end = std::min(begin + kBatch, all);
    for (size_t c = begin; c < end; ++c) {
      chunks[c - begin].Unpack(blocks + c * Operand<F>::kScales, c < whole ? kChunkWeights : rest);
    }
    for (size_t t = 0; t < tokens; ++t) {
      float* p = partial + t * 2 * kLanes;
      Sums total{hn::Load(d, p), hn::Load(d, p + kLanes)};
      for (size_t c = begin; c < std::min(end, whole); ++c) {
        x.Add(chunks[c - begin], first + t, c, kVectors, total);
      }
      if (end > whole) {
        x.Add(chunks[whole - begin], first + t, whole, (rest + kVectorWeights - 1) / kVectorWeights,
              total);
      }
      hn::Store(total.even, d, p);
      hn::Store(total.odd, d, p + kLanes);
    }
  }
}

template <class F>
void Gemv(const MatMulShare& share, const Q8Rows& x) {
  const DF d;
  const Operand<F> operand(x);
  Chunk<F> chunks[kBatch];
  alignas(64) float partial[kMaxTokens * 2 * kLanes];
  for (size_t first = 0; first < share.tokens; first += kMaxTokens) {
    const size_t tokens = std::min(kMaxTokens, share.tokens - first);
    for (size_t row = share.rows.begin; row < share.rows.end; ++row) {
      GemvRow<F>(share, operand, row, first, tokens, chunks, partial);
      for (size_t t = 0; t < tokens; ++t) {
        const float* p = partial + t * 2 * kLanes;
        float value =
            hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Load(d, p), hn::Load(d, p + kLanes))));
        float& y = share.y[(first + t) * share.y_stride + row];
        if (share.bias != nullptr) value += share.bias[row];
        y = share.accumulate ? value + y : value;
      }
    }
  }
}

using Table = FormatTable<GemvQ8Fn>;

const Table& GemvTable() {
  static constexpr Table kTable = MakeFormatTable<GemvQ8Fn>([]<class F>() -> GemvQ8Fn {
    if constexpr (kDecodesToIntegers<F>) return Gemv<F>;
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
const FormatTable<GemvQ8Fn>& GemvTable();
}
#endif

namespace {
HWY_EXPORT(GemvTable);
}

std::span<const GemvQ8Fn> GemvQ8Table() {
#if CROSSOVER_HAS_DOTPROD
  if (DotprodSelected()) return N_DOTPROD::GemvTable();
#endif
  return HWY_DYNAMIC_DISPATCH(GemvTable)();
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

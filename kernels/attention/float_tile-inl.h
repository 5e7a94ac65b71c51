// The arithmetic of the float32 path: a few query rows against a block of kKeyBlock positions.
// Compiled once per Highway target.
//
// Every sum has one order, whatever rows share a tile and wherever K and V are decoded: a dot
// product is a register of partial sums over head_dim, folded pairwise; o adds its keys one after
// the other. So a token's result depends on its own keys only, not on the tokens it was batched
// with.
#if defined(CROSSOVER_KERNELS_ATTENTION_FLOAT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_FLOAT_TILE_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_FLOAT_TILE_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_FLOAT_TILE_INL_H_
#endif

#include <cstddef>
#include <limits>
#include <type_traits>

#include "kernels/attention/stored_row-inl.h"
// After it: for the same target.
#include <hwy/contrib/math/math-inl.h>

#include "kernels/attention/float_block.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// Registers: x86 has 32 from AVX-512 on, else 16; Arm 32.
constexpr bool kManyRegisters = kLanes >= 16 || HWY_ARCH_ARM;
// Sums of a tile of dot products, enough to hide the latency of an FMA.
constexpr size_t kDotSums = kManyRegisters ? 16 : 8;
// Rows that read K and V in one pass; more of them where a unit of V is few registers.
constexpr size_t kMaxRows = kLanes >= 16 ? 8 : kLanes >= 8 || HWY_ARCH_ARM ? 2 : 1;
// Rows of a tile when there are many: as much of q as of K and V is loaded for an FMA.
constexpr size_t kManyRows = kMaxRows < 4 ? kMaxRows : 4;

constexpr size_t KeysAtOnce(size_t rows) {
  size_t keys = 1;
  while (2 * keys * rows <= kDotSums) keys *= 2;
  return keys;
}

// Units of V at once: kRows × units × kUnitVectors sums and as many values as one row has.
constexpr size_t UnitsAtOnce(size_t rows) {
  return (rows + 1) * 2 * kUnitVectors < (kManyRegisters ? 32 : 16) ? 2 : 1;
}

// A block's rows of K or V, by position.
template <class Row>
struct RowView {
  const std::byte* const* rows;
  HWY_INLINE RowView(const std::byte* const* stored, const float*, size_t) : rows(stored) {}
  HWY_INLINE const void* operator[](size_t j) const { return rows[j]; }
};
template <>
struct RowView<DecodedRow> {
  const float* data;
  size_t stride;
  HWY_INLINE RowView(const std::byte* const*, const float* decoded, size_t row_stride)
      : data(decoded), stride(row_stride) {}
  HWY_INLINE const void* operator[](size_t j) const { return data + j * stride; }
};

// The sums of kLanes registers as one register: sums[0]'s lane i ← Σ sums[i]. log2(kLanes) rounds
// of pairwise sums, 3 · (kLanes - 1) instructions. A template for each round, so that every index
// is a constant and all stays in registers.
template <size_t kCount>
HWY_INLINE void FoldLanes([[maybe_unused]] FloatVec* sums) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kCount > 1) {
    const FloatTag d;
    for (size_t i = 0; i < kCount / 2; ++i) {
      const FloatVec low = sums[2 * i], high = sums[2 * i + 1];
      sums[i] = hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
    }
    FoldLanes<kCount / 2>(sums);
  }
#endif
}

// sums[r][j] += register v of q[r] times register v of key j's unit, for v and those after it.
template <size_t kRows, size_t kKeys, size_t v, class Unit>
HWY_INLINE void DotUnits(const float* HWY_RESTRICT q, size_t stride, const Unit (&units)[kKeys],
                         FloatVec* sums) {
  if constexpr (v < kUnitVectors) {
    const FloatTag d;
    FloatVec keys[kKeys];
    for (size_t j = 0; j < kKeys; ++j) keys[j] = units[j].template Load<v>();
    for (size_t r = 0; r < kRows; ++r) {
      const FloatVec query = hn::Load(d, q + r * stride + v * kLanes);
      for (size_t j = 0; j < kKeys; ++j) {
        sums[r * kKeys + j] = hn::MulAdd(query, keys[j], sums[r * kKeys + j]);
      }
    }
    DotUnits<kRows, kKeys, v + 1>(q, stride, units, sums);
  }
}

// scores[r][j] = q[r] · k[j] for kRows rows and KeysAtOnce(kRows) keys.
template <class Row, size_t kRows>
HWY_INLINE void DotTile(const float* HWY_RESTRICT q, size_t stride, RowView<Row> k, size_t first,
                        float* HWY_RESTRICT scores) {
  constexpr size_t kKeys = KeysAtOnce(kRows);
  constexpr size_t kSums = (kRows * kKeys + kLanes - 1) / kLanes * kLanes;
  const FloatTag d;
  FloatVec sums[kSums];
  for (size_t i = 0; i < kSums; ++i) sums[i] = hn::Zero(d);
  for (size_t x = 0; x < stride; x += kUnit) {
    typename Row::Unit units[kKeys];
    for (size_t j = 0; j < kKeys; ++j) units[j] = typename Row::Unit(k[first + j], x);
    DotUnits<kRows, kKeys, 0>(q + x, stride, units, sums);
  }
  HWY_ALIGN float folded[kSums];
  for (size_t i = 0; i < kSums; i += kLanes) {
    FoldLanes<kLanes>(sums + i);
    hn::Store(sums[i], d, folded + i);
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t j = 0; j < kKeys; ++j) scores[r * kKeyBlock + j] = folded[r * kKeys + j];
  }
}

// sums[r] += p[r] · a row of V, for registers i and those after it.
template <size_t kRows, size_t kVectors, size_t i, class Unit>
HWY_INLINE void AccumulateUnits(const FloatVec (&weights)[kRows], const Unit* units,
                                FloatVec (&sums)[kRows][kVectors]) {
  if constexpr (i < kVectors) {
    const FloatVec value = units[i / kUnitVectors].template Load<i % kUnitVectors>();
    for (size_t r = 0; r < kRows; ++r) sums[r][i] = hn::MulAdd(weights[r], value, sums[r][i]);
    AccumulateUnits<kRows, kVectors, i + 1>(weights, units, sums);
  }
}

// o[r] ← c[r] · o[r] + Σ_{j in visible} p[r][j] · v[j], kUnits units wide from x on.
template <class Row, size_t kRows, size_t kUnits>
HWY_INLINE void AccumulateTile(const float* HWY_RESTRICT p, RowView<Row> v, size_t x,
                               const float* HWY_RESTRICT c, KeyRange visible, size_t stride,
                               NextRows next, float* HWY_RESTRICT o) {
  constexpr size_t kVectors = kUnits * kUnitVectors;
  const FloatTag d;
  FloatVec sums[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t i = 0; i < kVectors; ++i) {
      sums[r][i] = hn::Mul(hn::Set(d, c[r]), hn::Load(d, o + r * stride + x + i * kLanes));
    }
  }
  for (size_t j = visible.begin; j < visible.end; ++j) {
    if constexpr (!std::is_same_v<Row, DecodedRow>) next.Fetch(j);
    typename Row::Unit units[kUnits];
    for (size_t u = 0; u < kUnits; ++u) units[u] = typename Row::Unit(v[j], x + u * kUnit);
    FloatVec weights[kRows];
    for (size_t r = 0; r < kRows; ++r) weights[r] = hn::Set(d, p[r * kKeyBlock + j]);
    AccumulateUnits<kRows, kVectors, 0>(weights, units, sums);
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t i = 0; i < kVectors; ++i) {
      hn::Store(sums[r][i], d, o + r * stride + x + i * kLanes);
    }
  }
}

// e^x, 0 for what is far below; a NaN, which Highway's Exp takes for that, stays visible.
HWY_INLINE FloatVec ExpVisible(FloatVec x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(FloatTag(), x));
}

// One row: masks, maximum, exponentials. p[j] is set for all of the block; keys outside
// `visible` get 0. Updates m and l, returns e^(m - m'), by which o has to shrink.
HWY_INLINE float SoftmaxRow(float* HWY_RESTRICT p, KeyRange visible, float& m, float& l) {
  const FloatTag d;
  if (visible.begin >= visible.end) {
    for (size_t j = 0; j < kKeyBlock; j += kLanes) hn::Store(hn::Zero(d), d, p + j);
    return 1.0f;
  }
  const FloatVec first = hn::Set(d, static_cast<float>(visible.begin));
  const FloatVec last = hn::Set(d, static_cast<float>(visible.end));
  const FloatVec masked = hn::Set(d, -std::numeric_limits<float>::infinity());
  FloatVec largest = hn::Set(d, kNoMaximum);
  for (size_t j = 0; j < kKeyBlock; j += kLanes) {
    const FloatVec index = hn::Iota(d, static_cast<float>(j));
    const auto seen = hn::And(hn::Ge(index, first), hn::Lt(index, last));
    const FloatVec s = hn::IfThenElse(seen, hn::Load(d, p + j), masked);
    hn::Store(s, d, p + j);
    largest = hn::Max(largest, s);
  }
  const float block_max = hn::GetLane(hn::MaxOfLanes(d, largest));
  const float new_max = block_max > m ? block_max : m;
  FloatVec sum = hn::Zero(d);
  for (size_t j = 0; j < kKeyBlock; j += kLanes) {
    const FloatVec e = ExpVisible(hn::Sub(hn::Load(d, p + j), hn::Set(d, new_max)));
    hn::Store(e, d, p + j);
    sum = hn::Add(sum, e);
  }
  const float c = m == new_max ? 1.0f : hn::GetLane(ExpVisible(hn::Set(d, m - new_max)));
  l = c * l + hn::GetLane(hn::SumOfLanes(d, sum));
  m = new_max;
  return c;
}

// While scores are computed, memory is asked for the block's V; while V is added up, for the next
// block's K.
template <class Row, size_t kRows>
HWY_INLINE void ScoreRows(const FloatBlock& block, size_t row, KeyRange keys, NextRows next) {
  constexpr size_t kKeys = KeysAtOnce(kRows);
  static_assert(kKeyBlock % kKeys == 0);
  const RowView<Row> k(block.keys, block.k, block.stride);
  for (size_t j = keys.begin / kKeys * kKeys; j < keys.end; j += kKeys) {
    if constexpr (!std::is_same_v<Row, DecodedRow>) {
      for (size_t i = 0; i < kKeys; ++i) next.Fetch(j + i);
    }
    DotTile<Row, kRows>(block.q + row * block.stride, block.stride, k, j,
                        block.scores + row * kKeyBlock + j);
  }
}

template <class Row, size_t kRows>
HWY_INLINE void AccumulateRows(const FloatBlock& block, size_t row, KeyRange visible,
                               NextRows next) {
  constexpr size_t kUnits = UnitsAtOnce(kRows);
  const RowView<Row> v(block.values, block.v, block.stride);
  const float* p = block.scores + row * kKeyBlock;
  float* o = block.o + row * block.stride;
  const float* c = block.correction + row;
  size_t x = 0;
  for (; x + kUnits * kUnit <= block.stride; x += kUnits * kUnit) {
    AccumulateTile<Row, kRows, kUnits>(p, v, x, c, visible, block.stride, next, o);
    next.bytes = 0;
  }
  if (x < block.stride) {
    AccumulateTile<Row, kRows, 1>(p, v, x, c, visible, block.stride, next, o);
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_ATTENTION_FLOAT_TILE_INL_H_

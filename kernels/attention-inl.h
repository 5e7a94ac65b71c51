// The arithmetic of one attention tile: up to kRowBlock query rows against a block of kKeyBlock
// positions, everything float32 in the worker's scratch. Compiled once per Highway target.
//
// For each row r and block of keys j (Milakov and Gimelshein 2018; Dao et al. 2022):
//   s_j = q_r · k_j,  m' = max(m, max_j s_j),  p_j = e^(s_j - m'),  c = e^(m - m')
//   l ← c·l + Σ_j p_j,  o ← c·o + Σ_j p_j v_j          and at the end  out = o / l.
//
// Every sum has one order, whatever rows share a tile: a dot product is a register of partial sums
// over head_dim, folded pairwise; o adds its keys one after the other. So a token's result depends
// on its own keys only, not on the tokens it was batched with.
#if defined(CROSSOVER_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_INL_H_
#endif

#include <cstddef>
#include <limits>

#include "kernels/simd-inl.h"
// After it: for the same target.
#include <hwy/contrib/math/math-inl.h>

#include "kernels/attention_tile.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;
inline constexpr size_t kLanes = hn::MaxLanes(FloatTag());
// Registers: a tile of kMaxRows rows needs kMaxRows × kLanes / kMaxRows accumulators for the dot
// products: 16, 8, 4 or 1 of the 32, 16, 32 or 16 that AVX-512, AVX2, NEON or SSE have.
inline constexpr size_t kMaxRows = kLanes >= 16 ? 4 : kLanes >= 8 ? 2 : 1;
static_assert(kKeyBlock % kLanes == 0 && kStrideMultiple % kLanes == 0);

// The sums of kCount = kLanes registers as one register: sums[0]'s lane i ← Σ sums[i]. log2(kLanes)
// rounds of pairwise sums, 3 · (kLanes - 1) instructions. A template for each round, so that every
// index is a constant and all stays in registers.
template <size_t kCount>
HWY_INLINE void FoldLanes(FloatVec (&sums)[kLanes]) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kCount > 1) {
    const FloatTag d;
    for (size_t i = 0; i < kCount / 2; ++i) {
      const FloatVec low = sums[2 * i], high = sums[2 * i + 1];
      sums[i] = hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
    }
    FoldLanes<kCount / 2>(sums);
  }
#else
  (void)sums;
#endif
}

// scores[r][j] = q[r] · k[j] for kRows rows and the kLanes / kRows keys from `k` on.
template <size_t kRows>
HWY_INLINE void DotTile(const float* HWY_RESTRICT q, const float* HWY_RESTRICT k, size_t stride,
                        float* HWY_RESTRICT scores) {
  constexpr size_t kKeys = kLanes / kRows;
  const FloatTag d;
  FloatVec sums[kLanes];
  for (size_t i = 0; i < kLanes; ++i) sums[i] = hn::Zero(d);
  for (size_t x = 0; x < stride; x += kLanes) {
    FloatVec keys[kKeys];
    for (size_t j = 0; j < kKeys; ++j) keys[j] = hn::Load(d, k + j * stride + x);
    for (size_t r = 0; r < kRows; ++r) {
      const FloatVec query = hn::Load(d, q + r * stride + x);
      for (size_t j = 0; j < kKeys; ++j) {
        sums[r * kKeys + j] = hn::MulAdd(query, keys[j], sums[r * kKeys + j]);
      }
    }
  }
  HWY_ALIGN float folded[kLanes];
  FoldLanes<kLanes>(sums);
  hn::Store(sums[0], d, folded);
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t j = 0; j < kKeys; ++j) scores[r * kKeyBlock + j] = folded[r * kKeys + j];
  }
}

// o[r] ← c[r] · o[r] + Σ_{j in [begin, end)} p[r][j] · v[j], kVectors registers wide.
template <size_t kRows, size_t kVectors>
HWY_INLINE void AccumulateTile(const float* HWY_RESTRICT p, const float* HWY_RESTRICT v,
                               const float* HWY_RESTRICT c, size_t begin, size_t end, size_t stride,
                               float* HWY_RESTRICT o) {
  const FloatTag d;
  FloatVec sums[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t x = 0; x < kVectors; ++x) {
      sums[r][x] = hn::Mul(hn::Set(d, c[r]), hn::Load(d, o + r * stride + x * kLanes));
    }
  }
  for (size_t j = begin; j < end; ++j) {
    FloatVec values[kVectors];
    for (size_t x = 0; x < kVectors; ++x) values[x] = hn::Load(d, v + j * stride + x * kLanes);
    for (size_t r = 0; r < kRows; ++r) {
      const FloatVec weight = hn::Set(d, p[r * kKeyBlock + j]);
      for (size_t x = 0; x < kVectors; ++x) {
        sums[r][x] = hn::MulAdd(weight, values[x], sums[r][x]);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t x = 0; x < kVectors; ++x) {
      hn::Store(sums[r][x], d, o + r * stride + x * kLanes);
    }
  }
}

// One row: masks, maximum, exponentials. p[j] is set for all of the block; keys outside
// [begin, end) get 0. Updates m and l, returns c.
HWY_INLINE float SoftmaxRow(float* HWY_RESTRICT p, size_t begin, size_t end, float& m, float& l) {
  const FloatTag d;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const FloatVec first = hn::Set(d, static_cast<float>(begin));
  const FloatVec last = hn::Set(d, static_cast<float>(end));
  FloatVec largest = hn::Set(d, -kInfinity);
  for (size_t j = 0; j < kKeyBlock; j += kLanes) {
    const FloatVec index = hn::Iota(d, static_cast<float>(j));
    const auto visible = hn::And(hn::Ge(index, first), hn::Lt(index, last));
    const FloatVec s = hn::IfThenElse(visible, hn::Load(d, p + j), hn::Set(d, -kInfinity));
    hn::Store(s, d, p + j);
    largest = hn::Max(largest, s);
  }
  if (begin >= end) {  // nothing to see; m may still be -∞
    for (size_t j = 0; j < kKeyBlock; j += kLanes) hn::Store(hn::Zero(d), d, p + j);
    return 1.0f;
  }
  const float block_max = hn::GetLane(hn::MaxOfLanes(d, largest));
  const float new_max = block_max > m ? block_max : m;
  FloatVec sum = hn::Zero(d);
  for (size_t j = 0; j < kKeyBlock; j += kLanes) {
    const FloatVec s = hn::Sub(hn::Load(d, p + j), hn::Set(d, new_max));
    // Highway's Exp takes a NaN for something very negative; it must stay visible.
    const FloatVec e = hn::IfThenElse(hn::IsNaN(s), s, hn::Exp(d, s));
    hn::Store(e, d, p + j);
    sum = hn::Add(sum, e);
  }
  const float c = m == new_max ? 1.0f : hn::GetLane(hn::Exp(d, hn::Set(d, m - new_max)));
  l = c * l + hn::GetLane(hn::SumOfLanes(d, sum));
  m = new_max;
  return c;
}

template <size_t kRows>
HWY_INLINE void ScoreRows(const Tile& tile, size_t row, size_t begin, size_t end) {
  constexpr size_t kKeys = kLanes / kRows;
  for (size_t j = begin / kKeys * kKeys; j < end; j += kKeys) {
    DotTile<kRows>(tile.q + row * tile.stride, tile.k + j * tile.stride, tile.stride,
                   tile.scores + row * kKeyBlock + j);
  }
}

template <size_t kRows>
HWY_INLINE void AccumulateRows(const Tile& tile, size_t row, size_t begin, size_t end) {
  const float* p = tile.scores + row * kKeyBlock;
  float* o = tile.o + row * tile.stride;
  const float* c = tile.correction + row;
  size_t x = 0;
  for (; x + 4 * kLanes <= tile.stride; x += 4 * kLanes) {
    AccumulateTile<kRows, 4>(p, tile.v + x, c, begin, end, tile.stride, o + x);
  }
  for (; x < tile.stride; x += kLanes) {
    AccumulateTile<kRows, 1>(p, tile.v + x, c, begin, end, tile.stride, o + x);
  }
}

// Rows go through in groups of kMaxRows, the rest in smaller ones. Keys that a group's last row
// cannot see yet (rows come in the order of their positions) are no work for the group.
void ScoreBlock(const Tile& tile, size_t begin, const KeyRange* visible) {
  size_t row = 0;
  for (; row + kMaxRows <= tile.rows; row += kMaxRows) {
    ScoreRows<kMaxRows>(tile, row, begin, visible[row + kMaxRows - 1].end);
  }
  for (; row < tile.rows; ++row) ScoreRows<1>(tile, row, begin, visible[row].end);
}

void SoftmaxBlock(const Tile& tile, const KeyRange* visible) {
  for (size_t row = 0; row < tile.rows; ++row) {
    tile.correction[row] = SoftmaxRow(tile.scores + row * kKeyBlock, visible[row].begin,
                                      visible[row].end, tile.row_max[row], tile.row_sum[row]);
  }
}

void AccumulateBlock(const Tile& tile, size_t begin, const KeyRange* visible) {
  size_t row = 0;
  for (; row + kMaxRows <= tile.rows; row += kMaxRows) {
    AccumulateRows<kMaxRows>(tile, row, begin, visible[row + kMaxRows - 1].end);
  }
  for (; row < tile.rows; ++row) AccumulateRows<1>(tile, row, begin, visible[row].end);
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

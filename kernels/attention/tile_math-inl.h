// The arithmetic of the tile path. Scores are computed transposed, a lane a query row:
//   Sᵀ = K Qᵀ, p = 2^(s - m) down each lane, Oᵀ = Vᵀ Pᵀ
// so that maxima and sums need no operation across lanes, pairs of rows of Sᵀ are rows of Pᵀ's
// tiles as they come, and K goes into tiles as it lies. V and Q are transposed, once for many
// uses. log2(e) is in Q.
#if defined(CROSSOVER_KERNELS_ATTENTION_TILE_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_TILE_MATH_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_TILE_MATH_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_TILE_MATH_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "kernels/amx-inl.h"
#include "kernels/attention/stored_row-inl.h"
#include "kernels/attention/tile_path.h"

#ifdef CROSSOVER_TILES

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// A unit of a row as bfloat16.
template <class Unit>
CROSSOVER_TILES HWY_INLINE __m512i ToBFloats(const Unit& unit) {
  return BFloats(unit.template Load<0>().raw, unit.template Load<1>().raw);
}
CROSSOVER_TILES HWY_INLINE __m512i ToBFloats(const StoredRow<quant::BF16>::Unit& unit) {
  return _mm512_loadu_si512(unit.data());
}

/// 32 rows as tiles of 16 positions × 32 dims, [2][dims / 32]: K's.
template <class Row>
CROSSOVER_TILES void TileRows(const std::byte* const* rows, size_t dims, NextRows next,
                              uint8_t* out) {
  const size_t units = dims / kUnit;
  for (size_t j = 0; j < kTileKeys; ++j) {
    next.Fetch(j);
    uint8_t* row = out + j / 16 * units * kTileBytes + j % 16 * 64;
    for (size_t u = 0; u < units; ++u) {
      _mm512_store_si512(row + u * kTileBytes, ToBFloats(typename Row::Unit(rows[j], u * kUnit)));
    }
  }
}

/// Of unit u of 32 rows (as TileRows leaves them): pairs of neighbouring rows, interleaved. Lane
/// 4q + r of pairs[i] has dim 8q + r, or 8q + 4 + r, of rows 2i and 2i + 1.
template <bool kHigh>
CROSSOVER_TILES HWY_INLINE void PairRows(const uint8_t* tiles, size_t units, size_t u,
                                         __m512i (&pairs)[16]) {
  for (size_t i = 0; i < 16; ++i) {
    const uint8_t* row = tiles + (i / 8 * units + u) * kTileBytes + i % 8 * 128;
    const __m512i a = _mm512_load_si512(row), b = _mm512_load_si512(row + 64);
    pairs[i] = kHigh ? _mm512_unpackhi_epi16(a, b) : _mm512_unpacklo_epi16(a, b);
  }
}

/// The dim of a unit that lane `lane` of PairRows has.
HWY_INLINE size_t PairedDim(bool high, size_t lane) {
  return lane / 4 * 8 + lane % 4 + (high ? 4 : 0);
}

/// Half of a unit of V to tiles of 16 dims × 32 positions.
template <bool kHigh>
CROSSOVER_TILES HWY_INLINE void TransposeValues(const uint8_t* rows, const ChunkTiles& chunk,
                                                size_t u, size_t position) {
  __m512i pairs[16];
  PairRows<kHigh>(rows, chunk.dims / kUnit, u, pairs);
  Transpose(pairs);
  for (size_t i = 0; i < 16; ++i) {
    const size_t dim = PairedDim(kHigh, i);
    _mm512_store_si512(chunk.values(u * kUnit + dim, position) + dim % 16 * 64, pairs[i]);
  }
}

/// 16 rows of `dims` floats, times `factor`, to tiles of Qᵀ.
CROSSOVER_TILES inline void TileQueries(const float* const* rows, size_t dims, float factor,
                                        uint8_t* out) {
  const __m512 f = _mm512_set1_ps(factor);
  for (size_t x = 0; x < dims; x += kUnit) {
    __m512i r[16];
    for (size_t i = 0; i < 16; ++i) {
      r[i] = BFloats(_mm512_mul_ps(f, _mm512_loadu_ps(rows[i] + x)),
                     _mm512_mul_ps(f, _mm512_loadu_ps(rows[i] + x + 16)));
    }
    Transpose(r);
    for (size_t i = 0; i < 16; ++i) _mm512_store_si512(out + x / kUnit * kTileBytes + 64 * i, r[i]);
  }
}

/// Positions of [begin, end) that a row of the group does not see: their scores become -∞. Rows
/// come in the order of their positions.
CROSSOVER_TILES inline void HideUnseen(const RowGroup& group, size_t begin, size_t end) {
  const __m512i first = _mm512_load_si512(group.begin);
  const __m512i last = _mm512_load_si512(group.end);
  const __m512 hidden = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  const auto hide = [&](size_t from, size_t to) CROSSOVER_TILES {
    for (size_t j = from; j < to; ++j) {
      const __m512i position = _mm512_set1_epi32(static_cast<int32_t>(j));
      const __mmask16 seen =
          _mm512_cmplt_epi32_mask(position, last) & _mm512_cmpge_epi32_mask(position, first);
      _mm512_mask_store_ps(group.s + j * 16, static_cast<__mmask16>(~seen), hidden);
    }
  };
  // All rows see [all_from, all_to).
  const size_t all_from = std::clamp(static_cast<size_t>(group.begin[15]), begin, end);
  const size_t all_to = std::clamp(static_cast<size_t>(group.end[0]), all_from, end);
  hide(begin, all_from);
  hide(all_to, end);
}

/// The largest score of each row.
CROSSOVER_TILES HWY_INLINE __m512 RowMaxima(const RowGroup& group, size_t begin, size_t end) {
  __m512 largest[2];
  for (__m512& m : largest) m = _mm512_set1_ps(std::numeric_limits<float>::lowest());
  for (size_t j = begin; j < end; j += 2) {
    largest[0] = _mm512_max_ps(largest[0], _mm512_load_ps(group.s + j * 16));
    largest[1] = _mm512_max_ps(largest[1], _mm512_load_ps(group.s + j * 16 + 16));
  }
  return _mm512_max_ps(largest[0], largest[1]);
}

/// s → p of positions [begin, end) as bfloat16 tiles, in place; `sum`: of even and odd ones.
CROSSOVER_TILES HWY_INLINE void Exponentials(const RowGroup& group, size_t begin, size_t end,
                                             __m512 max, __m512 (&sum)[2]) {
  for (size_t j = begin; j < end; j += 2) {
    const __m512 p0 = PowerOfTwo(_mm512_sub_ps(_mm512_load_ps(group.s + j * 16), max));
    const __m512 p1 = PowerOfTwo(_mm512_sub_ps(_mm512_load_ps(group.s + j * 16 + 16), max));
    sum[0] = _mm512_add_ps(sum[0], p0);
    sum[1] = _mm512_add_ps(sum[1], p1);
    _mm512_store_si512(group.s + j * 8, Interleave(BFloats(p0, p1)));
  }
}

/// A state of 16 rows: [16] maxima, [16] sums, [dims][16] o.
CROSSOVER_TILES inline void MergeTileState(const float* max, const float* sum, const float* o,
                                           size_t dims, float* state) {
  const __m512 old_max = _mm512_load_ps(state), chunk_max = _mm512_load_ps(max);
  const __m512 new_max = _mm512_max_ps(old_max, chunk_max);
  const __m512 a = PowerOfTwo(_mm512_sub_ps(old_max, new_max));
  const __m512 b = PowerOfTwo(_mm512_sub_ps(chunk_max, new_max));
  _mm512_store_ps(state, new_max);
  const __m512 chunk_sum = _mm512_mul_ps(_mm512_load_ps(sum), b);
  _mm512_store_ps(state + 16, _mm512_fmadd_ps(_mm512_load_ps(state + 16), a, chunk_sum));
  float* state_o = state + 32;
  for (size_t i = 0; i < dims * 16; i += 16) {
    const __m512 add = _mm512_mul_ps(_mm512_load_ps(o + i), b);
    _mm512_store_ps(state_o + i, _mm512_fmadd_ps(_mm512_load_ps(state_o + i), a, add));
  }
}

/// out[r][…] = o / l for `rows` of the 16, head_dim of the dims.
CROSSOVER_TILES inline void FinishTileState(const float* state, size_t rows, size_t head_dim,
                                            float* const* out) {
  const __m512 factor = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_load_ps(state + 16));
  const float* o = state + 32;
  for (size_t x = 0; x < head_dim; x += 16) {
    __m512i r[16];
    for (size_t i = 0; i < 16; ++i) {
      r[i] = _mm512_castps_si512(_mm512_mul_ps(_mm512_load_ps(o + (x + i) * 16), factor));
    }
    Transpose(r);
    const size_t n = head_dim - x < 16 ? head_dim - x : 16;
    const auto mask = static_cast<__mmask16>((1u << n) - 1);
    for (size_t i = 0; i < 16; ++i) {
      if (i < rows) _mm512_mask_storeu_epi32(out[i] + x, mask, r[i]);
    }
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_TILES

#endif  // CROSSOVER_KERNELS_ATTENTION_TILE_MATH_INL_H_

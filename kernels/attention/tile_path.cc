// Attention on the tile units (AMX-BF16): Q, K, V and the probabilities rounded to bfloat16, all
// sums, the softmax and the states in float32.
//
// A chunk of K and V is brought into tiles once for all rows of an item; pairs of groups of 16 rows
// then pass over it: scores, softmax, sums, and the chunk's result joins the state. Each row has a
// lane of its own everywhere, so its result does not depend on the rows beside it.
#include <hwy/base.h>

#include <algorithm>
#include <limits>

#if HWY_ARCH_X86 && HWY_COMPILER_GCC && !HWY_COMPILER_CLANG
// Here first: GCC 12 takes the deliberately undefined operands of its own intrinsics for a mistake.
HWY_DIAGNOSTICS(push)
HWY_DIAGNOSTICS(ignored "-Wmaybe-uninitialized")
HWY_DIAGNOSTICS(ignored "-Wuninitialized")
#include <immintrin.h>
HWY_DIAGNOSTICS(pop)
#endif

#include "kernels/amx.h"
#include "kernels/attention/path.h"
#include "kernels/attention/tile_path.h"
#include "kernels/isa.h"
#include "kernels/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/tile_path.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include "kernels/attention/tile_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#ifdef CROSSOVER_TILES

constexpr float kLog2E = 1.44269504f;

Geometry TileGeometry(const KvLayout& layout) {
  Geometry geometry;
  geometry.max_rows = ItemRows(layout);
  geometry.min_rows = 2 * kTileRows;
  geometry.row_unit = 2 * kTileRows;
  geometry.chunk = ChunkLength(layout);
  geometry.scratch_bytes = TileScratch(layout, nullptr).bytes;
  geometry.state_row = PaddedDims(layout) + 2;
  geometry.state_unit = kTileRows;
  return geometry;
}

size_t StateFloats(size_t dims) { return kTileRows * (dims + 2); }

void PrepareTiles(const Item& item, const float* q, std::byte* scratch) {
  const TileScratch s(item.layout(), scratch);
  const size_t dims = s.tiles.dims, head_dim = item.layout().head_dim;
  // With a soft cap, tanh comes first: log2(e) has to wait.
  const float cap = item.args->soft_cap;
  const float factor = item.args->scale * (cap != 0.0f ? 1.0f / cap : kLog2E);
  for (size_t r = 0; r < RoundUp(item.rows, 2 * kTileRows); ++r) {
    const size_t row = std::min(r, item.rows - 1);
    s.oldest[r] = static_cast<int32_t>(item.oldest(row));
    s.end[r] = static_cast<int32_t>(item.position(row) + 1);
  }
  for (size_t first = 0; first < item.rows; first += kTileRows) {
    const float* rows[kTileRows];
    for (size_t i = 0; i < kTileRows; ++i) {
      // Lanes beyond the last row repeat it.
      rows[i] = q + item.offset(std::min(first + i, item.rows - 1));
      if (dims != head_dim) {
        float* copy = s.rows + i * dims;
        std::fill(std::copy_n(rows[i], head_dim, copy), copy + dims, 0.0f);
        rows[i] = copy;
      }
    }
    TileQueries(rows, dims, factor, s.q + first * dims * 2);
  }
}

void ClearTiles(const Item& item, float* state) {
  const size_t dims = PaddedDims(item.layout());
  for (size_t first = 0; first < item.rows; first += kTileRows, state += StateFloats(dims)) {
    std::fill_n(state, kTileRows, std::numeric_limits<float>::lowest());
    std::fill_n(state + kTileRows, kTileRows * (dims + 1), 0.0f);
  }
}

/// Positions of a chunk that a pair of groups sees, in multiples of a step, and which group has
/// rows that do not see all of them.
struct PairRange {
  size_t begin;
  size_t end;
  bool masked[2];
};

CROSSOVER_TILES PairRange FindRange(const TileScratch& s, size_t first, size_t base, size_t step,
                                    RowGroup* groups) {
  const __m512i start = _mm512_set1_epi32(static_cast<int32_t>(base));
  const __m512i length = _mm512_set1_epi32(static_cast<int32_t>(s.tiles.chunk));
  const __m512i zero = _mm512_setzero_si512();
  __m512i begin[2], end[2];
  for (size_t g = 0; g < 2; ++g) {
    const size_t row = first + g * kTileRows;
    const __m512i from = _mm512_sub_epi32(_mm512_load_si512(s.oldest + row), start);
    const __m512i to = _mm512_sub_epi32(_mm512_load_si512(s.end + row), start);
    begin[g] = _mm512_min_epi32(_mm512_max_epi32(from, zero), length);
    end[g] = _mm512_min_epi32(_mm512_max_epi32(to, zero), length);
    _mm512_store_si512(groups[g].begin, begin[g]);
    _mm512_store_si512(groups[g].end, end[g]);
  }
  // Rows come in the order of their positions.
  PairRange range;
  range.begin = static_cast<size_t>(groups[0].begin[0]) / step * step;
  range.end = RoundUp(static_cast<size_t>(groups[1].end[kTileRows - 1]), step);
  const __m512i range_begin = _mm512_set1_epi32(static_cast<int32_t>(range.begin));
  const __m512i range_end = _mm512_set1_epi32(static_cast<int32_t>(range.end));
  for (size_t g = 0; g < 2; ++g) {
    range.masked[g] = (_mm512_cmpgt_epi32_mask(begin[g], range_begin) |
                       _mm512_cmplt_epi32_mask(end[g], range_end)) != 0;
  }
  return range;
}

/// s ← cap · log2(e) · tanh(s).
void CapScores(float* s, size_t n, float cap) {
  SelectedVectorMath().tanh(n, s);
  const FloatTag d;
  const FloatVec factor = hn::Set(d, cap * kLog2E);
  for (size_t i = 0; i < n; i += kLanes) hn::Store(hn::Mul(hn::Load(d, s + i), factor), d, s + i);
}

template <size_t kGroups>
CROSSOVER_TILES void AttendGroups(const ChunkTiles& tiles, const PairRange& range, float soft_cap,
                                  RowGroup* groups, float* state) {
  for (size_t j = range.begin; j < range.end; j += kTileKeys) {
    TileScores<kGroups>(tiles, j, groups);
  }
  for (size_t g = 0; g < kGroups; ++g) {
    if (soft_cap != 0.0f) {
      CapScores(groups[g].s + range.begin * kTileRows, (range.end - range.begin) * kTileRows,
                soft_cap);
    }
    TileSoftmax(groups[g], range.begin, range.end, range.masked[g]);
  }
  for (size_t x = 0; x < tiles.dims; x += 32) {
    TileSums<kGroups>(tiles, x, range.begin, range.end, groups);
  }
  for (size_t g = 0; g < kGroups; ++g) {
    MergeTileState(groups[g].max, groups[g].sum, groups[g].o, tiles.dims,
                   state + g * StateFloats(tiles.dims));
  }
}

/// Scores of one group of rows with positions of a range of multiples of 64.
CROSSOVER_TILES void NarrowScores(const Item& item, const TileScratch& s, const PairRange& range,
                                  const RowGroup& group) {
  const RowTiler tiler(item, s);
  const ChunkTiles tiles{s.tiles.dims, kNarrowStep, s.tiles.k, s.tiles.v};
  for (size_t j = range.begin; j < range.end; j += kNarrowStep) {
    const size_t after = j + kNarrowStep;
    const auto next = after < range.end ? s.keys + after : s.values + range.begin;
    tiler.Rows(s.keys + j, next, tiles.keys(0));
    tiler.Rows(s.keys + j + kTileKeys, next + kTileKeys, tiles.keys(kTileKeys));
    TileScores64(tiles, group.q, group.s + j * kTileRows);
  }
}

CROSSOVER_TILES void NarrowSums(const Item& item, const TileScratch& s, const PairRange& range,
                                const RowGroup& group) {
  const RowTiler tiler(item, s);
  const size_t dims = s.tiles.dims;
  const ChunkTiles tiles{dims, kNarrowStep, s.tiles.k, s.tiles.v};
  float* sums = s.o + kTileRows * dims;  // the other group's place
  std::fill_n(sums, kTileRows * dims, 0.0f);
  for (size_t j = range.begin; j < range.end; j += kNarrowStep) {
    const size_t after = j + kNarrowStep;
    // After the last ones of a chunk, the next chunk's first keys.
    const auto next = (after < range.end ? s.values : s.keys) + after;
    tiler.Pairs(s.values + j, next, 2 * kTileBytes, tiles.values(0, 0));
    tiler.Pairs(s.values + j + kTileKeys, next + kTileKeys, 2 * kTileBytes,
                tiles.values(0, kTileKeys));
    const float* p = group.s + j * kTileRows / 2;
    size_t x = 0;
    for (; x + 2 * kUnit <= dims; x += 2 * kUnit) {
      PairedSums<2>(tiles, x, p, sums + x * kTileRows);
    }
    if (x < dims) PairedSums<1>(tiles, x, p, sums + x * kTileRows);
  }
  PlaceSums(sums, dims, group.o);
}

/// One group of rows: see tile_narrow-inl.h.
CROSSOVER_TILES void AttendNarrow(const Item& item, const TileScratch& s, const PairRange& range,
                                  RowGroup& group, float* state) {
  NarrowScores(item, s, range, group);
  if (item.args->soft_cap != 0.0f) {
    CapScores(group.s + range.begin * kTileRows, (range.end - range.begin) * kTileRows,
              item.args->soft_cap);
  }
  TileSoftmax(group, range.begin, range.end, range.masked[0]);
  TransposeProbabilities(group, range.begin, range.end);
  NarrowSums(item, s, range, group);
  MergeTileState(group.max, group.sum, group.o, s.tiles.dims, state);
}

CROSSOVER_TILES void AttendTiles(const Item& item, size_t chunk, std::byte* scratch, float* state) {
  const TileScratch s(item.layout(), scratch);
  const size_t dims = s.tiles.dims, base = chunk * s.tiles.chunk;
  const size_t begin = item.first_key() > base ? item.first_key() - base : 0;
  const size_t end = std::min(item.end_key() - base, s.tiles.chunk);
  FindRows(item, s, base, begin, end);
  const bool narrow = item.rows <= kTileRows;
  if (!narrow) ConvertChunk(item, s, begin, end);
  SetUpTiles();
  for (size_t first = 0; first < item.rows; first += 2 * kTileRows) {
    RowGroup groups[2];
    for (size_t g = 0; g < 2; ++g) {
      groups[g].q = s.q + (first + g * kTileRows) * dims * 2;
      groups[g].s = s.s + g * kTileRows * s.tiles.chunk;
      groups[g].o = s.o + g * kTileRows * dims;
    }
    const PairRange range = FindRange(s, first, base, narrow ? kNarrowStep : kTileKeys, groups);
    if (range.begin >= range.end) continue;
    float* pair_state = state + first / kTileRows * StateFloats(dims);
    if (narrow) {
      AttendNarrow(item, s, range, groups[0], pair_state);
    } else if (item.rows - first > kTileRows) {
      AttendGroups<2>(s.tiles, range, item.args->soft_cap, groups, pair_state);
    } else {
      AttendGroups<1>(s.tiles, range, item.args->soft_cap, groups, pair_state);
    }
  }
  _tile_release();
}

void MergeTiles(const Item& item, const float* chunk, float* state) {
  const size_t dims = PaddedDims(item.layout()), floats = StateFloats(dims);
  for (size_t first = 0; first < item.rows; first += kTileRows, chunk += floats, state += floats) {
    MergeTileState(chunk, chunk + kTileRows, chunk + 2 * kTileRows, dims, state);
  }
}

void FinishTiles(const Item& item, const float* state, float* out) {
  const size_t dims = PaddedDims(item.layout());
  for (size_t first = 0; first < item.rows; first += kTileRows, state += StateFloats(dims)) {
    const size_t n = std::min(kTileRows, item.rows - first);
    float* rows[kTileRows] = {};
    for (size_t i = 0; i < n; ++i) rows[i] = out + item.offset(first + i);
    FinishTileState(state, n, item.layout().head_dim, rows);
  }
}

const Path* Tiles() {
  static constexpr Path kPath{TileGeometry, PrepareTiles, ClearTiles,
                              AttendTiles,  MergeTiles,   FinishTiles};
  return &kPath;
}

#else

const Path* Tiles() { return nullptr; }

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(Tiles);
}

const Path* TilePath() { return TilesSelected() ? HWY_DYNAMIC_DISPATCH(Tiles)() : nullptr; }

}  // namespace crossover::kernels
#endif  // HWY_ONCE

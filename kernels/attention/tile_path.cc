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
  // Lanes beyond the last row repeat it.
  RowWalk seen(item);
  for (size_t r = 0; r < RoundUp(item.rows, 2 * kTileRows); ++r, seen.Next()) {
    s.oldest[r] = static_cast<int32_t>(seen.oldest());
    s.end[r] = static_cast<int32_t>(seen.position() + 1);
  }
  RowWalk row(item);
  for (size_t first = 0; first < item.rows; first += kTileRows) {
    const float* rows[kTileRows];
    for (size_t i = 0; i < kTileRows; ++i, row.Next()) {
      rows[i] = q + row.offset();
      if (dims != head_dim) {
        float* copy = s.rows + i * dims;
        std::fill(std::copy_n(rows[i], head_dim, copy), copy + dims, 0.0f);
        rows[i] = copy;
      }
    }
    TileQueries(rows, dims, factor, s.q + first * dims * 2);
  }
}

void ClearGroup(size_t dims, float* state) {
  std::fill_n(state, kTileRows, std::numeric_limits<float>::lowest());
  std::fill_n(state + kTileRows, kTileRows * (dims + 1), 0.0f);
}

void ClearTiles(const Item& item, float* state) {
  const size_t dims = PaddedDims(item.layout());
  for (size_t first = 0; first < item.rows; first += kTileRows, state += StateFloats(dims)) {
    ClearGroup(dims, state);
  }
}

/// Finds the positions of the chunk at `base` that a pair of groups sees, in multiples of `step`.
CROSSOVER_TILES void FindRange(const TileScratch& s, size_t first, size_t base, size_t step,
                               RowPair& pair) {
  const __m512i start = _mm512_set1_epi32(static_cast<int32_t>(base));
  const __m512i length = _mm512_set1_epi32(static_cast<int32_t>(s.tiles.chunk));
  const __m512i zero = _mm512_setzero_si512();
  for (size_t g = 0; g < 2; ++g) {
    const size_t row = first + g * kTileRows;
    const __m512i from = _mm512_sub_epi32(_mm512_load_si512(s.oldest + row), start);
    const __m512i to = _mm512_sub_epi32(_mm512_load_si512(s.end + row), start);
    _mm512_store_si512(pair.groups[g].begin,
                       _mm512_min_epi32(_mm512_max_epi32(from, zero), length));
    _mm512_store_si512(pair.groups[g].end, _mm512_min_epi32(_mm512_max_epi32(to, zero), length));
  }
  // Rows come in the order of their positions.
  pair.begin = static_cast<size_t>(pair.groups[0].begin[0]) / step * step;
  pair.end = RoundUp(static_cast<size_t>(pair.groups[1].end[kTileRows - 1]), step);
}

/// s ← cap · log2(e) · tanh(s).
void CapScores(float* s, size_t n, float cap) {
  SelectedVectorMath().tanh(n, s);
  const FloatTag d;
  const FloatVec factor = hn::Set(d, cap * kLog2E);
  for (size_t i = 0; i < n; i += kLanes) hn::Store(hn::Mul(hn::Load(d, s + i), factor), d, s + i);
}

/// What the exponentials need: soft cap, mask and maxima.
CROSSOVER_TILES void FinishScores(const RowPair& pair, float soft_cap, RowGroup& group) {
  if (soft_cap != 0.0f) {
    CapScores(group.s + pair.begin * kTileRows, (pair.end - pair.begin) * kTileRows, soft_cap);
  }
  HideUnseen(group, pair.begin, pair.end);
  _mm512_store_ps(group.max, RowMaxima(group, pair.begin, pair.end));
}

/// Scores of one group of rows with positions of a range of multiples of 64.
CROSSOVER_TILES void NarrowScores(const Item& item, const TileScratch& s, const RowPair& range,
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

CROSSOVER_TILES void NarrowSums(const Item& item, const TileScratch& s, const RowPair& range,
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

/// What the pair's rows got from the chunk joins their states, or becomes it where it is there
/// already.
CROSSOVER_TILES void JoinState(const RowPair& pair, size_t dims) {
  for (size_t g = 0; g < pair.count; ++g) {
    const RowGroup& group = pair.groups[g];
    float* state = pair.state + g * StateFloats(dims);
    if (pair.fresh) {
      std::copy_n(group.max, kTileRows, state);
      std::copy_n(group.sum, kTileRows, state + kTileRows);
    } else {
      MergeTileState(group.max, group.sum, group.o, dims, state);
    }
  }
}

/// One group of rows: see tile_narrow-inl.h.
CROSSOVER_TILES void AttendNarrow(const Item& item, const TileScratch& s, RowPair& pair) {
  RowGroup& group = pair.groups[0];
  NarrowScores(item, s, pair, group);
  FinishScores(pair, item.args->soft_cap, group);
  PairExponentials(&pair, 1).Finish();
  TransposeProbabilities(group, pair.begin, pair.end);
  NarrowSums(item, s, pair, group);
  JoinState(pair, s.tiles.dims);
}

/// Many groups: see tile_wide-inl.h. next(pair) finds another pair, if there is one.
template <class Next>
CROSSOVER_TILES void AttendWide(const TileScratch& s, float soft_cap, const Next& next) {
  RowPair pairs[kPairsAtOnce];
  const auto slot = [&](size_t i) { return &pairs[i % kPairsAtOnce]; };
  size_t found = 0;
  bool more = true;
  for (size_t i = 0; more || i < found + 2; ++i) {
    if (more) more = next(i % kPairsAtOnce, *slot(i));
    if (more) ++found;
    RowPair* const scored = i < found ? slot(i) : nullptr;
    RowPair* const raised = i >= 1 && i - 1 < found ? slot(i - 1) : nullptr;
    RowPair* const summed = i >= 2 && i - 2 < found ? slot(i - 2) : nullptr;
    TurnPipeline(s.tiles, scored, raised, summed);
    for (size_t g = 0; scored != nullptr && g < scored->count; ++g) {
      FinishScores(*scored, soft_cap, scored->groups[g]);
    }
    if (summed != nullptr) JoinState(*summed, s.tiles.dims);
  }
}

CROSSOVER_TILES void AttendTiles(const Item& item, size_t chunk, std::byte* scratch, float* state,
                                 bool fresh) {
  const TileScratch s(item.layout(), scratch);
  const size_t dims = s.tiles.dims, base = chunk * s.tiles.chunk;
  const size_t begin = item.first_key() > base ? item.first_key() - base : 0;
  const size_t end = std::min(item.end_key() - base, s.tiles.chunk);
  FindRows(item, s, base, begin, end);
  const bool narrow = item.rows <= kTileRows;
  if (!narrow) ConvertChunk(item, s, begin, end);
  SetUpTiles();
  size_t first = 0;
  const auto next = [&](size_t slot, RowPair& pair) CROSSOVER_TILES {
    for (; first < item.rows; first += 2 * kTileRows) {
      FindRange(s, first, base, narrow ? kNarrowStep : kTileKeys, pair);
      pair.count = item.rows - first > kTileRows ? 2 : 1;
      pair.state = state + first / kTileRows * StateFloats(dims);
      if (pair.begin < pair.end) break;
      for (size_t g = 0; fresh && g < pair.count; ++g) {
        ClearGroup(dims, pair.state + g * StateFloats(dims));
      }
    }
    if (first >= item.rows) return false;
    pair.fresh = fresh;
    for (size_t g = 0; g < pair.count; ++g) {
      pair.groups[g].q = s.q + (first + g * kTileRows) * dims * 2;
      pair.groups[g].s = s.s + (2 * slot + g) * kTileRows * s.tiles.chunk;
      pair.groups[g].o =
          fresh ? pair.state + g * StateFloats(dims) + 2 * kTileRows : s.o + g * kTileRows * dims;
    }
    first += 2 * kTileRows;
    return true;
  };
  if (!narrow) {
    AttendWide(s, item.args->soft_cap, next);
  } else if (RowPair pair; next(0, pair)) {
    AttendNarrow(item, s, pair);
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
  RowWalk row(item);
  for (size_t first = 0; first < item.rows; first += kTileRows, state += StateFloats(dims)) {
    const size_t n = std::min(kTileRows, item.rows - first);
    float* rows[kTileRows] = {};
    for (size_t i = 0; i < n; ++i, row.Next()) rows[i] = out + row.offset();
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

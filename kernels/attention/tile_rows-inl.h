// An item's buffers on the tile path, and how rows of K and V come from pages into tiles.
#if defined(CROSSOVER_KERNELS_ATTENTION_TILE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_TILE_ROWS_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_TILE_ROWS_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_TILE_ROWS_INL_H_
#endif

#include <algorithm>

#include "kernels/attention/carver.h"
#include "kernels/attention/path.h"
#include "kernels/attention/tile_narrow-inl.h"
#include "kernels/attention/tile_wide-inl.h"
#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"

#ifdef CROSSOVER_TILES

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// Items of a head size keep K and V of a chunk, Q, scores and states in the L2 cache.
constexpr size_t kMaxTileRows = 512;
constexpr size_t kStateBytes = size_t{416} << 10;

constexpr size_t RoundUp(size_t n, size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
inline size_t PaddedDims(const KvLayout& layout) { return RoundUp(layout.head_dim, kUnit); }
inline size_t ChunkLength(const KvLayout& layout) { return PaddedDims(layout) <= 256 ? 512 : 128; }
inline size_t ItemRows(const KvLayout& layout) {
  const size_t fit = kStateBytes / (PaddedDims(layout) * (sizeof(uint16_t) + sizeof(float)));
  return std::min(kMaxTileRows, fit / (2 * kTileRows) * (2 * kTileRows));
}

// Positions beyond a chunk that memory is asked for while it is worked on.
constexpr size_t kAhead = 2 * kTileKeys;
constexpr size_t kPairsAtOnce = 3;             // of groups: tile_wide-inl.h
constexpr size_t kNarrowStep = 2 * kTileKeys;  // positions that a narrow item takes at once

/// An item's buffers.
struct TileScratch {
  TileScratch(const KvLayout& layout, std::byte* scratch) {
    const size_t dims = PaddedDims(layout), chunk = ChunkLength(layout);
    Carver carver(scratch);
    tiles = {dims, chunk, carver.Take<uint8_t>(chunk * dims * 2),
             carver.Take<uint8_t>(chunk * dims * 2)};
    q = carver.Take<uint8_t>(ItemRows(layout) * dims * 2);
    s = carver.Take<float>(kPairsAtOnce * 2 * kTileRows * chunk);
    o = carver.Take<float>(2 * kTileRows * dims);
    rows = carver.Take<float>(kTileKeys * dims);
    v_rows = carver.Take<uint8_t>(kTileKeys * dims * sizeof(uint16_t));
    keys = carver.Take<const std::byte*>(chunk + kAhead);
    values = carver.Take<const std::byte*>(chunk + kAhead);
    oldest = carver.Take<int32_t>(ItemRows(layout));
    end = carver.Take<int32_t>(ItemRows(layout));
    bytes = carver.bytes();
  }

  ChunkTiles tiles;
  uint8_t* q;
  float* s;                  // of the pairs of groups that are on their way
  float* o;                  // of two groups
  float* rows;               // decoded rows, where the head size is no multiple of 32
  uint8_t* v_rows;           // 32 rows of V on their way into tiles
  const std::byte** keys;    // where the chunk's rows of K lie, and some after it
  const std::byte** values;  // the same of V
  int32_t* oldest;           // first position that each row sees
  int32_t* end;              // and the one after its last
  size_t bytes;
};

/// What brings 32 rows to tiles.
struct RowFunctions {
  void (*rows)(const std::byte* const* rows, size_t dims, NextRows next, uint8_t* out);
  void (*pairs)(const std::byte* const* rows, size_t dims, NextRows next, size_t stride,
                uint8_t* out);
};

template <class Row>
constexpr RowFunctions kRowFunctions{TileRows<Row>, TilePairs<Row>};

constexpr auto kStoredRowFunctions = MakeFormatTable<RowFunctions>([]<class F>() -> RowFunctions {
  if constexpr (KvFormat<F>) return kRowFunctions<StoredRow<F>>;
  return {};
});

// Zero in every format: for positions of a group of 32 that nobody sees, or that are not stored.
alignas(64) constexpr std::byte kZeroRow[kMaxHeadDim * sizeof(float)] = {};

/// Brings rows of K and V to tiles, whatever pages hold, while memory is asked for those of `next`.
class RowTiler {
 public:
  RowTiler(const Item& item, const TileScratch& s) : layout_(item.layout()), s_(s) {
    if (s.tiles.dims != layout_.head_dim) return;
    functions_ = kStoredRowFunctions[FormatIndex(layout_.format)];
    fetch_ = layout_.row_bytes();
  }

  void Rows(const std::byte* const* rows, const std::byte* const* next, uint8_t* out) const {
    const std::byte* decoded[kTileKeys];
    functions_.rows(Readable(rows, decoded), s_.tiles.dims, {next, fetch_}, out);
  }
  void Pairs(const std::byte* const* rows, const std::byte* const* next, size_t stride,
             uint8_t* out) const {
    const std::byte* decoded[kTileKeys];
    functions_.pairs(Readable(rows, decoded), s_.tiles.dims, {next, fetch_}, stride, out);
  }

 private:
  // Rows of a head size that is no multiple of 32 are decoded first.
  const std::byte* const* Readable(const std::byte* const* rows, const std::byte** decoded) const {
    if (fetch_ != 0) return rows;
    for (size_t j = 0; j < kTileKeys; ++j) {
      float* row = s_.rows + j * s_.tiles.dims;
      DecodeRow(layout_.format, rows[j], layout_.head_dim, row);
      std::fill(row + layout_.head_dim, row + s_.tiles.dims, 0.0f);
      decoded[j] = reinterpret_cast<const std::byte*>(row);
    }
    return decoded;
  }

  const KvLayout& layout_;
  const TileScratch& s_;
  RowFunctions functions_ = kRowFunctions<DecodedRow>;
  size_t fetch_ = 0;
};

/// Where positions [begin, end) of the chunk at `base` lie, and as many after them as there are.
inline void FindRows(const Item& item, const TileScratch& s, size_t base, size_t begin,
                     size_t end) {
  const size_t known = std::min(end + kAhead, item.end_key() - base);
  std::fill_n(s.keys, s.tiles.chunk + kAhead, kZeroRow);
  std::fill_n(s.values, s.tiles.chunk + kAhead, kZeroRow);
  KeyRows(item).Find(base + begin, known - begin, s.keys + begin, s.values + begin);
}

/// Positions [begin, end) of a chunk to tiles, in groups of 32: K, V, the next one's K.
CROSSOVER_TILES inline void ConvertChunk(const Item& item, const TileScratch& s, size_t begin,
                                         size_t end) {
  const RowTiler tiler(item, s);
  for (size_t j = begin / kTileKeys * kTileKeys; j < end; j += kTileKeys) {
    tiler.Rows(s.keys + j, s.values + j, s.tiles.keys(j));
    tiler.Rows(s.values + j, s.keys + j + kTileKeys, s.v_rows);
    for (size_t u = 0; u < s.tiles.dims / kUnit; ++u) {
      TransposeValues<false>(s.v_rows, s.tiles, u, j);
      TransposeValues<true>(s.v_rows, s.tiles, u, j);
    }
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_TILES

#endif  // CROSSOVER_KERNELS_ATTENTION_TILE_ROWS_INL_H_

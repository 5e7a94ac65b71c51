// Products of many tokens on the tile units (AMX-BF16), from the packed form.
//
// A B tile is 16 rows of W by 32 columns as bfloat16 pairs, which is one chunk
// of the packed form: a dword lane a row, decoded straight into place. Two
// tiles of 16 tokens × two groups of 16 rows are summed in four tile registers.
// Columns pass in panels: while the tiles work on one panel, the next one is
// decoded between their instructions, a piece at a time.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/amx.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/packed/gemm_amx.cc"
#include <hwy/foreach_target.h>

#include "kernels/packed/dequant-inl.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/sources.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

// GCC adds this to what Highway's pragma says; clang forgets the pragma, and has to be told again.
#ifdef HWY_TARGET_STR
#define CROSSOVER_TILES __attribute__((target(HWY_TARGET_STR ",amx-tile,amx-bf16,avx512bf16")))
#else
#define CROSSOVER_TILES __attribute__((target("amx-tile,amx-bf16,avx512bf16")))
#endif

constexpr size_t kTileBytes = 1024;
constexpr size_t kTileColumns = 32;
constexpr size_t kPanelChunks = 8;  // 256 columns: two panels of 16 KiB live in L1
constexpr size_t kPanelBytes = kPanelChunks * 2 * kTileBytes;
constexpr size_t kTokenPair = 32;  // tokens of one pass over a panel
constexpr size_t kSumFloats = kTokenPair * 2 * kPackedRows;
constexpr size_t kMaxTokenPairs =
    (Team::kScratchBytes - 2 * kPanelBytes) / (kSumFloats * sizeof(float));

/// Two columns of 16 rows, rounded to bfloat16, as one row of a B tile.
CROSSOVER_TILES HWY_INLINE void StorePair(VFloats even, VFloats odd, uint8_t* out) {
  const __m512i interleave =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd.raw, even.raw));
  _mm512_store_si512(out, _mm512_permutexvar_epi16(interleave, both));
}

static_assert(kMaxTokenPairs * kTokenPair >= kMaxTileTokens);

/// One slot (16 columns) to half a B tile.
template <PackedSpec kSpec, size_t kSlot>
CROSSOVER_TILES HWY_INLINE void DecodeTileSlot(const PackedUnit& unit,
                                               const UnitScales<kSpec>& scales, uint8_t* tile) {
  const uint8_t* chunk = unit.codes + kSlot / kChunkSlots * kSpec.chunk_bytes();
  VFloats scale, min;
  scales.template Get<kSlot>(scale, min);
  for (size_t q = 0; q < 4; ++q) {
    VFloats w[4];
    QuadToFloats<kSpec, kSlot % kChunkSlots>(chunk, q, scale, min, w);
    StorePair(w[0], w[1], tile + 128 * q);
    StorePair(w[2], w[3], tile + 128 * q + 64);
  }
}

/// B tile kTile of a unit.
template <PackedSpec kSpec, size_t kTile>
CROSSOVER_TILES void DecodeUnitTile(const PackedUnit& unit, const PackedGeometry& geometry,
                                    uint8_t* tile) {
  const UnitScales<kSpec> scales(unit.scales, geometry, 0);
  DecodeTileSlot<kSpec, 2 * kTile>(unit, scales, tile);
  DecodeTileSlot<kSpec, 2 * kTile + 1>(unit, scales, tile + 512);
}

using DecodeTileFn = void (*)(const PackedUnit& unit, const PackedGeometry& geometry,
                              uint8_t* tile);

template <PackedSpec kSpec, size_t... kTiles>
constexpr std::array<DecodeTileFn, sizeof...(kTiles)> DecodeTileFunctions(
    std::index_sequence<kTiles...>) {
  return {DecodeUnitTile<kSpec, kTiles>...};
}

/// Tile `index` (32 columns) of a row group to a B tile.
template <PackedSpec kSpec>
CROSSOVER_TILES HWY_INLINE void DecodeTile(const uint8_t* group, const PackedGeometry& geometry,
                                           size_t index, uint8_t* tile) {
  constexpr size_t kTiles = kSpec.unit_columns() / kTileColumns;
  static constexpr auto kDecode = DecodeTileFunctions<kSpec>(std::make_index_sequence<kTiles>());
  const PackedUnit unit(group, geometry, index / kTiles, kSpec.code_bytes());
  kDecode[index % kTiles](unit, geometry, tile);
}

/// Decodes a panel's tiles one at a time, so that the work can be spread.
template <PackedSpec kSpec>
class PanelDecoder {
 public:
  PanelDecoder(const uint8_t* const* groups, const PackedGeometry& geometry, size_t first_chunk,
               size_t chunks, uint8_t* panel)
      : groups_(groups),
        geometry_(geometry),
        first_(first_chunk),
        pieces_(2 * chunks),
        panel_(panel) {}

  size_t pieces() const { return pieces_; }
  CROSSOVER_TILES HWY_INLINE bool Step() {
    if (next_ == pieces_) return false;
    DecodeTile<kSpec>(groups_[next_ % 2], geometry_, first_ + next_ / 2,
                      panel_ + next_ * kTileBytes);
    ++next_;
    return true;
  }

 private:
  const uint8_t* const* groups_;
  const PackedGeometry& geometry_;
  size_t first_;
  size_t pieces_;
  uint8_t* panel_;
  size_t next_ = 0;
};

/// Sums of 32 tokens × 32 rows += one panel's products. `x`: chunk-major A
/// tiles of the pair.
CROSSOVER_TILES HWY_INLINE void TilePass(const uint8_t* x, const uint8_t* panel, size_t chunks,
                                         bool first, float* sums) {
  constexpr size_t kTile = kPackedRows * 16;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, 64);
    _tile_loadd(1, sums + kTile, 64);
    _tile_loadd(2, sums + 2 * kTile, 64);
    _tile_loadd(3, sums + 3 * kTile, 64);
  }
  for (size_t k = 0; k < chunks; ++k) {
    const uint8_t* a = x + k * 2 * kTileBytes;
    const uint8_t* b = panel + k * 2 * kTileBytes;
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + kTileBytes, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + kTile, 64);
  _tile_stored(2, sums + 2 * kTile, 64);
  _tile_stored(3, sums + 3 * kTile, 64);
}

/// y of one pair of token tiles and up to 32 rows.
HWY_INLINE void StoreTilePair(const MatMulShare& share, size_t t0, Range rows, const float* sums) {
  const size_t tokens = std::min(kTokenPair, share.tokens - t0);
  for (size_t t = 0; t < tokens; ++t) {
    float* y = share.y + (t0 + t) * share.y_stride;
    for (size_t g = 0; g < 2; ++g) {
      const float* from = sums + ((t / 16) * 2 + g) * 256 + t % 16 * 16;
      const size_t begin = rows.begin + g * kPackedRows;
      const size_t n = begin < rows.end ? std::min(kPackedRows, rows.end - begin) : 0;
      for (size_t i = 0; i < n; ++i) {
        const float value = share.bias != nullptr ? from[i] + share.bias[begin + i] : from[i];
        y[begin + i] = share.accumulate ? y[begin + i] + value : value;
      }
    }
  }
}

template <PackedSpec kSpec>
CROSSOVER_TILES void GemmTiles(const MatMulShare& share, const uint8_t* x) {
  const size_t chunks = share.w->cols / kTileColumns;
  const PackedGeometry geometry = GeometryOf(*share.w);
  const size_t pairs = (share.tokens + kTokenPair - 1) / kTokenPair;
  const auto* data = static_cast<const uint8_t*>(share.w->data);
  auto* panels = reinterpret_cast<uint8_t*>(share.scratch.data());
  auto* sums = reinterpret_cast<float*>(panels + 2 * kPanelBytes);
  const size_t panel_count = (chunks + kPanelChunks - 1) / kPanelChunks;
  SetUpTiles();
  for (size_t r = share.rows.begin; r < share.rows.end; r += 2 * kPackedRows) {
    const Range rows{r, std::min(r + 2 * kPackedRows, share.rows.end)};
    const uint8_t* first_group = data + r / kPackedRows * geometry.group_bytes;
    // An odd group at the end is computed twice, and stored once.
    const uint8_t* groups[2] = {
        first_group, rows.size() > kPackedRows ? first_group + geometry.group_bytes : first_group};
    const auto decoder = [&](size_t panel) {
      const size_t first = panel * kPanelChunks;
      return PanelDecoder<kSpec>(groups, geometry, first, std::min(kPanelChunks, chunks - first),
                                 panels + panel % 2 * kPanelBytes);
    };
    PanelDecoder<kSpec> now = decoder(0);
    while (now.Step()) {
    }
    for (size_t p = 0; p < panel_count; ++p) {
      const bool more = p + 1 < panel_count;
      PanelDecoder<kSpec> next = decoder(more ? p + 1 : p);
      const size_t first = p * kPanelChunks;
      const size_t count = std::min(kPanelChunks, chunks - first);
      for (size_t pair = 0; pair < pairs; ++pair) {
        TilePass(x + (pair * chunks + first) * 2 * kTileBytes, panels + p % 2 * kPanelBytes, count,
                 p == 0, sums + pair * kSumFloats);
        if (more) next.Step();
      }
      while (more && next.Step()) {
      }
    }
    for (size_t pair = 0; pair < pairs; ++pair) {
      StoreTilePair(share, pair * kTokenPair, rows, sums + pair * kSumFloats);
    }
  }
  _tile_release();
}

using TileTable = std::array<GemmTilesFn, quant::AllFormats::kSize>;

const TileTable& GemmTileFunctions() {
  static constexpr TileTable kTable = PackedFunctions<GemmTilesFn>(
      []<PackedSpec kSpec>() -> GemmTilesFn { return GemmTiles<kSpec>; });
  return kTable;
}

#else

using TileTable = std::array<GemmTilesFn, quant::AllFormats::kSize>;

const TileTable& GemmTileFunctions() {
  static constexpr TileTable kNone{};
  return kNone;
}

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(GemmTileFunctions);
}

std::span<const GemmTilesFn> GemmTilesTable() {
  static constexpr std::array<GemmTilesFn, quant::AllFormats::kSize> kNone{};
  if (!AvailableTileUnits().bf16) return kNone;
  return HWY_DYNAMIC_DISPATCH(GemmTileFunctions)();
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

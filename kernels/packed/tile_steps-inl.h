// One step of a product on the tile units (AMX-BF16): 256 columns of 32 tokens × 32 rows, with the
// decoding of one later B tile between its instructions, where vector units would idle.
//
// A B tile is 16 rows of W by 32 columns as bfloat16 pairs: two slots of the packed form, a dword
// lane a row, decoded straight into place. Tile registers: 0 … 3 sums (tokens 0–15 × both row
// groups, then tokens 16–31), 4 and 5 tokens, 6 and 7 rows. They live across the calls here:
// nothing else uses them.
#if defined(CROSSOVER_KERNELS_PACKED_TILE_STEPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_TILE_STEPS_INL_H_
#undef CROSSOVER_KERNELS_PACKED_TILE_STEPS_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_TILE_STEPS_INL_H_
#endif

#include <array>
#include <utility>

#include "kernels/amx-inl.h"
#include "kernels/packed/dequant-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

constexpr size_t kTileBytes = 1024;
constexpr size_t kTileColumns = 32;
constexpr size_t kStepTiles = 8;
constexpr size_t kPanelTiles = 2 * kStepTiles;  // decoded ahead

/// Two columns of 16 rows, rounded to bfloat16, as one row of a B tile.
CROSSOVER_TILES HWY_INLINE void StorePair(VFloats even, VFloats odd, uint8_t* out) {
  _mm512_store_si512(out, Interleave(BFloats(even.raw, odd.raw)));
}

/// Decodes B tile kTile of a unit, a quad of columns at a time.
template <PackedSpec kSpec, size_t kTile>
class TileDecoder {
 public:
  CROSSOVER_TILES HWY_INLINE TileDecoder(const PackedUnit& unit, const PackedGeometry& geometry,
                                         uint8_t* tile)
      : scales_(unit.scales, geometry, 0), unit_(unit), tile_(tile) {}

  template <size_t kQuad>
  CROSSOVER_TILES HWY_INLINE void Step() {
    constexpr size_t kSlot = 2 * kTile + kQuad / 4;
    const uint8_t* chunk = unit_.codes + kSlot / kChunkSlots * kSpec.chunk_bytes();
    if constexpr (kQuad % 4 == 0) scales_.template Get<kSlot>(scale_, min_);
    VFloats w[4];
    QuadToFloats<kSpec, kSlot % kChunkSlots>(chunk, kQuad % 4, scale_, min_, w);
    StorePair(w[0], w[1], tile_ + 128 * kQuad);
    StorePair(w[2], w[3], tile_ + 128 * kQuad + 64);
  }

 private:
  UnitScales<kSpec> scales_;
  const PackedUnit& unit_;
  uint8_t* tile_;
  VFloats scale_;
  VFloats min_;
};

/// Sums += 32 columns: `x` two A tiles, `w` two B tiles. Tokens are read past the first cache
/// level, which the rows' tiles fill.
CROSSOVER_TILES HWY_INLINE void MultiplyTiles(const uint8_t* x, const uint8_t* w) {
  _tile_stream_loadd(4, x, 64);
  _tile_loadd(6, w, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, w + kTileBytes, 64);
  _tile_dpbf16ps(1, 4, 7);
  _tile_stream_loadd(5, x + kTileBytes, 64);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

/// What a step asks for on the way, from L3 to L2: a pair of tiles' share of the tokens' next
/// panel.
constexpr size_t kAheadBytes = 256;

HWY_INLINE void FetchAhead(const uint8_t* ahead) {
  for (size_t i = 0; i < kAheadBytes; i += 64) __builtin_prefetch(ahead + i, 0, 2);
}

/// Fills the gaps between tile instructions with nothing but decoding.
struct NoWork {
  HWY_INLINE void Some() const {}
};
/// Fills them also with the writing of finished results, a few at a time.
struct Work {
  void (*some)(Work&) = nullptr;  // null: all is done
  HWY_INLINE void Some() {
    if (some != nullptr) some(*this);
  }
};

/// A step of `count` (≤ kStepTiles) tiles of columns.
template <class AnyWork>
CROSSOVER_TILES HWY_INLINE void TileStep(const uint8_t* x, const uint8_t* w, size_t count,
                                         const uint8_t* ahead, AnyWork& work) {
  for (size_t k = 0; k < count; ++k) {
    MultiplyTiles(x + k * 2 * kTileBytes, w + k * 2 * kTileBytes);
    FetchAhead(ahead + k * kAheadBytes);
    work.Some();
  }
}

/// The same, and tile kTile of `unit` to `out`.
template <PackedSpec kSpec, size_t kTile, class AnyWork>
CROSSOVER_TILES void TileStepAndDecode(const uint8_t* x, const uint8_t* w, size_t count,
                                       const uint8_t* ahead, const PackedUnit& unit,
                                       const PackedGeometry& geometry, uint8_t* out,
                                       AnyWork& work) {
  TileDecoder<kSpec, kTile> decoder(unit, geometry, out);
  if (count == kStepTiles) {
    [&]<size_t... kQuads>(std::index_sequence<kQuads...>) CROSSOVER_TILES {
      ((MultiplyTiles(x + kQuads * 2 * kTileBytes, w + kQuads * 2 * kTileBytes),
        FetchAhead(ahead + kQuads * kAheadBytes), decoder.template Step<kQuads>(), work.Some()),
       ...);
    }
    (std::make_index_sequence<kStepTiles>());
    return;
  }
  TileStep(x, w, count, ahead, work);
  [&]<size_t... kQuads>(std::index_sequence<kQuads...>) CROSSOVER_TILES {
    (decoder.template Step<kQuads>(), ...);
  }
  (std::make_index_sequence<kStepTiles>());
}

template <class AnyWork>
using TileStepFn = void (*)(const uint8_t* x, const uint8_t* w, size_t count, const uint8_t* ahead,
                            const PackedUnit& unit, const PackedGeometry& geometry, uint8_t* out,
                            AnyWork& work);

/// One for each tile of a unit.
template <PackedSpec kSpec, class AnyWork>
constexpr auto TileStepFunctions() {
  return []<size_t... kTiles>(std::index_sequence<kTiles...>) {
    return std::array<TileStepFn<AnyWork>, sizeof...(kTiles)>{
        TileStepAndDecode<kSpec, kTiles, AnyWork>...};
  }
  (std::make_index_sequence<kSpec.unit_columns() / kTileColumns>());
}

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_TILE_STEPS_INL_H_

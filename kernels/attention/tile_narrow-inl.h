// The tile path where an item is one group of rows (decoding): K and V are used once only, so they
// pass 64 positions at a time through tiles that stay in the L1 cache, and V is spared its
// transposition: O = P V, of which P and O are transposed, 16 rows each.
#if defined(CROSSOVER_KERNELS_ATTENTION_TILE_NARROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_TILE_NARROW_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_TILE_NARROW_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_TILE_NARROW_INL_H_
#endif

#include "kernels/attention/tile_math-inl.h"

#ifdef CROSSOVER_TILES

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// 32 rows of V as tiles of 32 positions × 16 dims, pairs of positions interleaved within 128-bit
/// lanes only: tile 2u + h has the dims PairedDim(h, …) of unit u. `stride`: bytes to the next
/// tile.
template <class Row>
CROSSOVER_TILES void TilePairs(const std::byte* const* rows, size_t dims, NextRows next,
                               size_t stride, uint8_t* out) {
  for (size_t i = 0; i < kTileKeys / 2; ++i, out += 64) {
    next.Fetch(2 * i);
    next.Fetch(2 * i + 1);
    uint8_t* tile = out;
    for (size_t x = 0; x < dims; x += kUnit, tile += 2 * stride) {
      const __m512i a = ToBFloats(typename Row::Unit(rows[2 * i], x));
      const __m512i b = ToBFloats(typename Row::Unit(rows[2 * i + 1], x));
      _mm512_store_si512(tile, _mm512_unpacklo_epi16(a, b));
      _mm512_store_si512(tile + stride, _mm512_unpackhi_epi16(a, b));
    }
  }
}

/// Scores of the 64 positions in `chunk`.
CROSSOVER_TILES HWY_INLINE void TileScores64(const ChunkTiles& chunk, const uint8_t* q, float* s) {
  const size_t units = chunk.dims / kUnit, stride = units * kTileBytes;
  const uint8_t* k = chunk.k;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t u = 0; u < units; ++u, k += kTileBytes) {
    _tile_loadd(7, q + u * kTileBytes, 64);
    _tile_loadd(4, k, 64);
    _tile_dpbf16ps(0, 4, 7);
    _tile_loadd(5, k + stride, 64);
    _tile_dpbf16ps(1, 5, 7);
    _tile_loadd(6, k + 2 * stride, 64);
    _tile_dpbf16ps(2, 6, 7);
    _tile_loadd(4, k + 3 * stride, 64);
    _tile_dpbf16ps(3, 4, 7);
  }
  _tile_stored(0, s, 64);
  _tile_stored(1, s + 256, 64);
  _tile_stored(2, s + 512, 64);
  _tile_stored(3, s + 768, 64);
}

/// p of 32 positions from tiles of Pᵀ to tiles of P, in place.
CROSSOVER_TILES inline void TransposeProbabilities(RowGroup& group, size_t begin, size_t end) {
  for (size_t j = begin; j < end; j += kTileKeys) {
    float* tile = group.s + j * 8;
    __m512i r[16];
    for (size_t i = 0; i < 16; ++i) r[i] = _mm512_load_si512(tile + i * 16);
    Transpose(r);
    for (size_t i = 0; i < 16; ++i) _mm512_store_si512(tile + i * 16, r[i]);
  }
}

/// sums[row][paired dims of kUnits units] += p v of the 64 positions in `chunk`; `p`: their tiles.
template <size_t kUnits>
CROSSOVER_TILES HWY_INLINE void PairedSums(const ChunkTiles& chunk, size_t dim, const float* p,
                                           float* sums) {
  _tile_loadd(0, sums, 64);
  _tile_loadd(1, sums + 256, 64);
  if constexpr (kUnits == 2) {
    _tile_loadd(2, sums + 512, 64);
    _tile_loadd(3, sums + 768, 64);
  }
  for (size_t j = 0; j < 2 * kTileKeys; j += kTileKeys) {
    _tile_loadd(7, p + j * 8, 64);
    _tile_loadd(4, chunk.values(dim, j), 64);
    _tile_dpbf16ps(0, 7, 4);
    _tile_loadd(5, chunk.values(dim + 16, j), 64);
    _tile_dpbf16ps(1, 7, 5);
    if constexpr (kUnits == 2) {
      _tile_loadd(6, chunk.values(dim + 32, j), 64);
      _tile_dpbf16ps(2, 7, 6);
      _tile_loadd(4, chunk.values(dim + 48, j), 64);
      _tile_dpbf16ps(3, 7, 4);
    }
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  if constexpr (kUnits == 2) {
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
  }
}

/// The sums of a chunk into their place: o[dim][row].
CROSSOVER_TILES inline void PlaceSums(const float* sums, size_t dims, float* o) {
  for (size_t half = 0; half < dims / 16; ++half, sums += 256) {
    __m512i r[16];
    for (size_t i = 0; i < 16; ++i) r[i] = _mm512_load_si512(sums + i * 16);
    Transpose(r);
    for (size_t i = 0; i < 16; ++i) {
      const size_t dim = half / 2 * kUnit + PairedDim(half % 2 != 0, i);
      _mm512_store_si512(o + dim * 16, r[i]);
    }
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_TILES

#endif  // CROSSOVER_KERNELS_ATTENTION_TILE_NARROW_INL_H_

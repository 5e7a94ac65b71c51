// What the tile path (tile_path.cc) and its arithmetic (tile_math-inl.h) share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossover::kernels {

inline constexpr size_t kTileBytes = 1024;  // 16 rows of 64 bytes
inline constexpr size_t kTileRows = 16;     // query rows of a group: the lanes of a register
inline constexpr size_t kTileKeys = 32;     // positions that one product adds up

/// A chunk of K and V as tiles.
///   k[position / 16][dim / 32]: 16 positions × 32 dims, bfloat16
///   v[dim / 16][position / 32]: 16 dims × 32 positions, bfloat16
struct ChunkTiles {
  size_t dims = 0;   // head_dim rounded up to 32
  size_t chunk = 0;  // positions there is room for
  uint8_t* k = nullptr;
  uint8_t* v = nullptr;

  uint8_t* keys(size_t position) const { return k + position / 16 * (dims / 32) * kTileBytes; }
  uint8_t* values(size_t dim, size_t position) const {
    return v + (dim / 16 * (chunk / kTileKeys) + position / kTileKeys) * kTileBytes;
  }
};

/// A group of 16 query rows, a lane each.
struct RowGroup {
  const uint8_t* q;               // [dims / 32] tiles: 32 dims × 16 rows, bfloat16 pairs, scaled
  float* s;                       // [chunk][16]: scores; then p as tiles of 32 positions × 16 rows
  float* o;                       // [dims][16]: the chunk's Σ p v
  alignas(64) int32_t begin[16];  // first position that a row sees, relative to the chunk
  alignas(64) int32_t end[16];
  alignas(64) float max[16];
  alignas(64) float sum[16];
};

}  // namespace crossover::kernels

// What the float32 path (float_path.cc) and its arithmetic (float_tile-inl.h) share.
#pragma once

#include <cstddef>
#include <limits>

#include "kernels/format_table.h"

namespace crossover::kernels {

/// Query rows of an item: K and V are decoded once for all of them.
inline constexpr size_t kFloatRows = 64;
/// Positions taken at once: K and V of a block stay in the L1 cache. Blocks start at multiples of
/// this, wherever a row's window begins, so that the order of sums is a row's own.
inline constexpr size_t kKeyBlock = 32;
/// A row's maximum before its first key: finite, so that its distance to any score is a number, and
/// a masked score, -∞, is far below it.
inline constexpr float kNoMaximum = std::numeric_limits<float>::lowest();

/// Positions [begin, end); those of a block relative to it.
struct KeyRange {
  size_t begin = 0;
  size_t end = 0;
};

/// A block of positions, and the item's buffers in the worker's scratch.
struct FloatBlock {
  size_t rows = 0;
  size_t stride = 0;             // head_dim, rounded up
  const std::byte* const* keys;  // [kKeyBlock] rows as they are stored
  const std::byte* const* values;
  const std::byte* const* next_keys;  // [kKeyBlock] of the block after this one
  size_t fetch = 0;                   // bytes of a stored row to ask for ahead; 0: it is here
  float* k;                           // [kKeyBlock][stride], where rows are decoded
  float* v;                           // [kKeyBlock][stride]
  const float* q;                     // [rows][stride], scaled
  float* scores;                      // [rows][kKeyBlock]: q·k, then probabilities
  float* correction;                  // [rows]
  float* row_max;                     // [rows]
  float* row_sum;                     // [rows]
  float* o;                           // [rows][stride]
};

/// The block's scores, soft cap, softmax and values.
using AttendBlockFn = void (*)(const FloatBlock& block, const KeyRange* visible, float soft_cap);

struct BlockFunctions {
  AttendBlockFn decoded;  // rows are floats
  size_t direct_rows;     // up to so many rows, K and V are best read as they are stored
  FormatTable<AttendBlockFn> stored;  // null where no page has the format
};

}  // namespace crossover::kernels

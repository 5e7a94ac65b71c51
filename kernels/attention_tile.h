// What the driver of attention (attention.cc) and its arithmetic (attention-inl.h) share.
#pragma once

#include <cstddef>

namespace crossover::kernels {

/// Query rows in a work item: K and V are read and decoded once for all of them.
inline constexpr size_t kRowBlock = 64;
/// Positions taken at once: K and V of a block stay in the L1 cache. Blocks start at multiples of
/// this, wherever a row's window begins, so that the order of sums is a row's own.
inline constexpr size_t kKeyBlock = 32;
/// Rows of floats are padded with zeros to multiples of this: no tails in the inner loops.
inline constexpr size_t kStrideMultiple = 16;

/// Keys of the current block that a row attends to: [begin, end), relative to the block.
struct KeyRange {
  size_t begin = 0;
  size_t end = 0;
};

/// One work item's buffers in the worker's scratch.
struct Tile {
  size_t rows = 0;    // ≤ kRowBlock
  size_t stride = 0;  // head_dim rounded up to kStrideMultiple
  float* q;           // [kRowBlock][stride], scaled
  float* o;           // [kRowBlock][stride]
  float* k;           // [kKeyBlock][stride]
  float* v;           // [kKeyBlock][stride]
  float* scores;      // [kRowBlock][kKeyBlock]: q·k, then probabilities
  float* row_max;     // [kRowBlock]
  float* row_sum;     // [kRowBlock]
  float* correction;  // [kRowBlock]
};

}  // namespace crossover::kernels

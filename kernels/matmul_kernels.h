// What matmul.cc chooses among: one table of functions per instruction-set level and kind of
// kernel, a row per format in the order of quant::Formats(). Internal to kernels/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/matmul.h"
#include "kernels/rows.h"
#include "kernels/team.h"
#include "quant/format.h"

namespace crossover::kernels {

inline size_t FormatIndex(quant::Format format) {
  return static_cast<size_t>(&quant::Info(format) - quant::Formats().data());
}

/// A worker's share of a product.
struct MatMulShare {
  const Matrix* w = nullptr;
  size_t row_bytes = 0;
  Range rows = {};  // begins at a multiple of kRowTile
  size_t tokens = 0;
  float* y = nullptr;
  size_t y_stride = 0;
  const float* bias = nullptr;
  bool accumulate = false;
  Gate gate = Gate::kSilu;  // of gated units
  std::span<std::byte> scratch;

  const std::byte* row(size_t r) const {
    return static_cast<const std::byte*>(w->data) + r * row_bytes;
  }
};

/// Rows pass in chunks of this many columns, so that one vector holds all their scales.
inline constexpr size_t kChunkWeights = 256;

/// Sums of a group's codes, for groups of one length: what minima and offsets are multiplied by.
/// [tokens][stride].
struct GroupSums {
  float* scaled = nullptr;      // scale · sum
  int32_t* negative = nullptr;  // -sum
  // sum = high · 2^kHighShift + low, as bytes for the integer products
  int8_t* high = nullptr;
  int8_t* low = nullptr;
  size_t stride = 0;

  static constexpr int kHighShift = 5;
};

/// Activations in 8 bits, a token a row: x[t][k] ≈ scales[t][k / block] · codes[t][k], codes in
/// -127..127. All strides in elements. A row is padded to whole chunks of 256 codes; what is behind
/// its last group is zero, by one more vector than the chunks hold.
struct Q8Rows {
  int8_t* codes = nullptr;
  float* scales = nullptr;
  size_t code_stride = 0;
  size_t scale_stride = 0;
  GroupSums sums16;  // bytes in blocks of 256 only, like those of sums32
  GroupSums sums32;
  GroupSums block_sums;  // groups as long as a block of 64 or 128

  const GroupSums& sums(size_t group) const {
    return group == 16 ? sums16 : group == 32 ? sums32 : block_sums;
  }
};

using DecodeRowFn = void (*)(const void* blocks, size_t weights, float* out);
using EncodeRowFn = void (*)(const float* row, size_t weights, void* blocks);
using GemmPackedFn = void (*)(const MatMulShare& share, const float* x, bool round);
using GemmTilesFn = void (*)(const MatMulShare& share, const uint8_t* x);
using GatedTilesFn = void (*)(const MatMulShare& gate, const Matrix& up, const uint8_t* x,
                              uint8_t* out);
using GemvQ8Fn = void (*)(const MatMulShare& share, const Q8Rows& x);

/// Never null.
std::span<const DecodeRowFn> DecodeRowTable();
/// Null where a format is no KV format.
std::span<const EncodeRowFn> EncodeRowTable();
/// Null where a format is not quantised, or is read in float only (Q2_0 and G2 … G8 as in the
/// file).
std::span<const GemvQ8Fn> GemvQ8Table();

/// The packed form's; null where a format has none.
std::span<const GemvQ8Fn> GemvPackedTable();
/// Whether 8-bit products of the packed form beat those of floats for any number of tokens
/// (docs/measurements.md): on x86 with vectors, and with Arm's dot product.
bool HasFastByteProducts();
std::span<const GemmPackedFn> GemmPackedTable();
/// On the tile units, of the packed form or of rows of floats (a multiple of 32 columns); null
/// where the level, the CPU or the format has none. x: tiles of tokens (matmul_input.h).
std::span<const GemmTilesFn> GemmTilesTable();
/// f(W_gate·x) ⊙ W_up·x as tiles (out: matmul_input.h), of a share of W_gate's rows, a multiple of
/// 16. Both matrices have one format; their number of rows is a multiple of 32.
std::span<const GatedTilesFn> GatedTilesTable();

/// Decodes panels of W to float32 (rounded to bfloat16 if `round`), and multiplies them with
/// x[tokens][w->cols].
void GemmFloat(const MatMulShare& share, const float* x, bool round);

/// One chunk of one token (`x` points to its first column) into `out`, with zeros behind the end of
/// the row. `block`: 32 or 256.
void QuantizeChunk(const float* x, size_t token, size_t chunk, size_t cols, size_t block,
                   const Q8Rows& out);
/// Columns [32·chunk, 32·chunk + 32) of 16 tokens from `x` ([tokens][cols]) on to an A tile of
/// bfloat16; tokens that are missing are zero.
void FillTokenTile(const float* x, size_t tokens, size_t cols, size_t chunk, uint8_t* tile);
/// out[i] = x[i] rounded to bfloat16.
void RoundRowToBFloat16(const float* x, size_t n, float* out);

}  // namespace crossover::kernels

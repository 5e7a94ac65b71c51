// Which kernel serves an operation, what bounds it, and why it is that one: for tables that tell
// people, and for benchmarks that need the right limit beside a figure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kernels/matmul.h"

namespace crossover::kernels {

struct KernelChoice {
  std::string_view kernel;  // "gemv_packed_q8"
  std::string_view unit;    // of its arithmetic, as PeakLoop names it: "int8_dot"
  std::string_view reason;
};

/// The rule that MatMul follows for a product of `tokens` tokens at the selected level.
KernelChoice ChooseMatMul(const Matrix& w, Activations activations, size_t tokens);

/// Attention's, for `tokens` tokens of a sequence with `group` query heads a KV head, where
/// operands may be rounded to bfloat16 (AttentionArgs::bf16_tiles) or not. K and V may have any
/// format.
KernelChoice ChooseAttention(size_t tokens, size_t group, bool bf16_tiles);

}  // namespace crossover::kernels

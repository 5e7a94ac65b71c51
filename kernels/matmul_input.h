// The forms of MatMulInput. Internal to kernels/.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "kernels/huge_pages.h"
#include "kernels/matmul.h"
#include "kernels/matmul_kernels.h"

namespace crossover::kernels {

/// What a matrix of a format reads, once kAuto is resolved.
/// kQ8Rows is kQ8 for many tokens with rows as they lie in the file (gemm_rows.h).
enum class Form : uint8_t { kF32, kBF16, kQ8, kQ8Rows, kTiles };
Form ResolveForm(Activations activations, const Matrix& w, size_t tokens);

/// Lengths of blocks that activations are quantised in: those of the weights' formats.
inline constexpr std::array<size_t, 4> kQ8Blocks = {32, 64, 128, 256};
constexpr size_t Q8Index(size_t block) {
  return block == 32 ? 0 : block == 64 ? 1 : block == 128 ? 2 : 3;
}

struct MatMulInput::Rows {
  size_t max_tokens = 0;
  size_t max_cols = 0;
  // Reserved address space; what no form uses is never touched, and costs nothing.
  Bytes rounded_bytes;
  Bytes q8_bytes[kQ8Blocks.size()];
  Bytes tile_bytes;

  // Of the last Assign; written by rank 0 before its barrier.
  size_t tokens = 0;
  size_t cols = 0;
  Activations activations = Activations::kAuto;
  const float* x = nullptr;
  float* rounded = nullptr;  // [tokens][cols], values of bfloat16
  // bfloat16 A tiles of 16 tokens × 32 columns, 1 KiB each: [pair of tiles][cols / 32][2]; tokens
  // behind the last are zero.
  uint8_t* tiles = nullptr;
  Q8Rows q8_rows[kQ8Blocks.size()];

  uint8_t* TilePlace() const { return reinterpret_cast<uint8_t*>(tile_bytes.get()); }

  /// What a call of Assign is going to write.
  struct Plan {
    bool floats = false;
    bool rounded = false;
    bool tiles = false;
    std::array<bool, kQ8Blocks.size()> q8{};
    Q8Rows q8_rows[kQ8Blocks.size()];
  };
  /// Plans, and lets rank 0 note it here.
  Plan Begin(const Worker& worker, const float* x, size_t tokens, size_t cols,
             std::span<const Matrix* const> readers, Activations activations);

  const Q8Rows& q8(size_t block_weights) const { return q8_rows[Q8Index(block_weights)]; }
};

}  // namespace crossover::kernels

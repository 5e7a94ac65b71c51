// What a model's sizes are held to when it is read, beside kernels::kMaxHeadDim.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/team.h"

namespace crossover::engine {

/// The widest residual stream: a row of it has to fit a worker's scratch
/// (MatMulInput::AssignNormed).
inline constexpr size_t kMaxModelWidth = kernels::Team::kScratchBytes / sizeof(float);

/// The most rows of a matrix, whatever key they come from: three such matrices, shared out together
/// in pairs of 16 rows, are pieces that Worker::Share numbers with 24 bits (kernels/team.cc).
inline constexpr size_t kMaxModelRows = size_t{1} << 27;
static_assert(3 * kMaxModelRows / 32 < size_t{1} << 24 && kMaxModelRows / 16 < size_t{1} << 24);

/// The most tokens of a vocabulary, and merges. Each costs some hundred bytes of memory before its
/// text; the largest of 2026 have some 262,000 tokens and 515,000 merges.
inline constexpr uint64_t kMaxVocabulary = uint64_t{1} << 22;

}  // namespace crossover::engine

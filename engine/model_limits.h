// What a model's sizes are held to when it is read, beside kernels::kMaxHeadDim.
#pragma once

#include <cstddef>

#include "kernels/team.h"

namespace crossover::engine {

/// The widest residual stream: a row of it has to fit a worker's scratch
/// (MatMulInput::AssignNormed).
inline constexpr size_t kMaxModelWidth = kernels::Team::kScratchBytes / sizeof(float);

}  // namespace crossover::engine

// What Gemma 2 and Gemma 3 have in common.
#pragma once

#include "engine/arch/architecture.h"

namespace crossover::engine {

/// Embeddings scaled by √dim, GELU gates. Scores are scaled by 1/√head_dim, but for the 27B model,
/// which files tell by its layers only: there by 1/√(dim / heads).
ModelConfig ReadGemmaConfig(const GgufFile& file, size_t layers_of_27b);

}  // namespace crossover::engine

// Greedy answers to prompts, compared with the expected line.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/engine.h"
#include "evals/evaluate.h"
#include "evals/task.h"

namespace crossover::evals {

/// Up to kGenerationLanes items decode at a time; a finished one makes room for the next.
/// `truncated` counts items whose prompt was cut.
std::vector<ItemResult> ScoreGeneration(engine::Engine& engine,
                                        const tokenizer::Tokenizer& tokenizer,
                                        const std::vector<GenerationItem>& items,
                                        const TaskOptions& options, size_t& truncated);

inline constexpr size_t kGenerationLanes = 32;

}  // namespace crossover::evals

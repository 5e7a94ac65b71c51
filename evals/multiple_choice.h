// Log-likelihoods of choices given a context.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/engine.h"
#include "evals/evaluate.h"
#include "evals/task.h"

namespace crossover::evals {

/// Fills chosen, chosen_norm, correct and correct_norm from log_likelihood; the first of equals
/// wins.
void Choose(const MultipleChoiceItem& item, ItemResult& result);

/// `truncated` counts items whose context was cut.
std::vector<ItemResult> ScoreMultipleChoice(engine::Engine& engine,
                                            const tokenizer::Tokenizer& tokenizer,
                                            const std::vector<MultipleChoiceItem>& items,
                                            const TaskOptions& options, size_t& truncated);

}  // namespace crossover::evals

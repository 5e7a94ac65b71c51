// Log-likelihoods of choices given a context.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "engine/run/engine.h"
#include "evals/answer.h"
#include "evals/prompts.h"
#include "evals/task.h"

namespace crossover::evals {

struct TokenScore {
  double log_p = std::numeric_limits<double>::quiet_NaN();
  bool is_argmax = false;  // greedy decoding would say it
};

/// Cuts contexts at their beginning (after BOS) so that each item fits the model's; how many were
/// cut. Error(kInvalidArgument) for a choice that does not fit by itself, or not the cache.
size_t FitContexts(const engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                   std::span<EncodedChoices> items);

/// Of each item and choice the scores of its tokens; contexts are fed once for all their choices.
/// Error(kNonFinite, kInterrupted). Precondition: FitContexts.
std::vector<std::vector<std::vector<TokenScore>>> ScoreChoices(
    engine::Engine& engine, std::span<const EncodedChoices> items, const ScoreOptions& options);

/// Contexts that are too long lose their beginning. Error(kInvalidArgument, kOutOfMemory,
/// kNonFinite, kInterrupted).
Scored ScoreMultipleChoice(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                           std::span<const MultipleChoiceItem> items, const ScoreOptions& options);

}  // namespace crossover::evals

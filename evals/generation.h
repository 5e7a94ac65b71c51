// Greedy texts that go on with prompts.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/engine.h"
#include "evals/answer.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

struct GenerationRequest {
  std::string prompt;
  std::vector<std::string> until;  // end the text; no part of it
  size_t max_tokens = 256;
  /// Whether more of the text is of interest, which hangs on `wanted` alone; null: to its end.
  std::string wanted = {};
  std::function<bool(std::string_view so_far)> goes_on = {};
};

/// Up to kGenerationLanes items decode at a time; a finished one makes room for the next. Where the
/// model's context is too short for prompt and answer, the prompt loses its beginning, but half of
/// the context is left to it: the answer then may have fewer tokens. Error(kNonFinite,
/// kOutOfMemory, kInterrupted).
Scored Generate(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                std::span<const GenerationRequest> items, const ScoreOptions& options);

inline constexpr size_t kGenerationLanes = 32;

}  // namespace crossover::evals

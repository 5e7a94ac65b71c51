// A text that the engine is to read and go on with, and what becomes of it.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/generate.h"
#include "serve/batch/token_score.h"

namespace crossover::serve {

struct TextJob {
  std::vector<TokenId> prompt;           // at least one
  engine::GenerateOptions options = {};  // max_tokens may be 0; on_text is not called
  std::optional<size_t> top = {};        // log-probabilities, with so many alternatives each
  bool score_prompt = false;             // of the prompt's tokens too
  bool stream = false;                   // what comes is told as it comes
};

/// What has come since the last one: all at once, unless the job streams.
struct JobUpdate {
  std::vector<TokenScore> prompt_scores;  // of prompt[1 …], in the first update
  std::string text;
  std::vector<TokenScore> scores;  // of the tokens that were drawn, an end-of-text token included
  size_t drawn = 0;                // tokens
  bool ended = false;
  // Once it has ended:
  engine::GenerateEnd end = engine::GenerateEnd::kLength;
  std::string error;  // what went wrong, if anything did
};

using OnUpdate = std::function<void(JobUpdate)>;

}  // namespace crossover::serve

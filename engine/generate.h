// Text generation for one sequence: prefill, then one token at a time, with the times that users
// quote.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/sampler.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

struct GenerateOptions {
  size_t max_tokens = 128;
  SamplerOptions sampler;
  bool ignore_eos = false;
  /// Called with each token's bytes (perhaps part of a UTF-8 character); false ends the generation.
  std::function<bool(const std::string& bytes)> on_text;
};

struct GenerateResult {
  std::vector<TokenId> ids;  // generated, without the end-of-generation token
  std::string text;
  size_t prompt_tokens = 0;
  double prefill_seconds = 0;      // the forward passes over the prompt
  double first_token_seconds = 0;  // start of the call to the first token's text
  double decode_seconds = 0;       // the passes after the first token
  size_t decode_passes = 0;
  bool ended = false;  // by an end-of-generation token

  double prefill_rate() const;  // tokens/s; 0 if nothing was measured
  double decode_rate() const;
};

/// Precondition: `prompt` is not empty. Errors: those of Engine::Forward; kInterrupted.
GenerateResult Generate(Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        std::span<const TokenId> prompt, const GenerateOptions& options);

}  // namespace crossover::engine

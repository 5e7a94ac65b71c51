// How likely a model finds a text.
#pragma once

#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace crossover::engine {

class Engine;

/// ln p of each token of `continuation`, given `context` and those before it. `context` has at
/// least one token (BOS, where the vocabulary has one); Error(kInvalidArgument) otherwise,
/// Error(kNonFinite) if a logit is no number, and those of Engine::Forward.
std::vector<double> Score(Engine& engine, std::span<const tokenizer::TokenId> context,
                          std::span<const tokenizer::TokenId> continuation);

}  // namespace crossover::engine

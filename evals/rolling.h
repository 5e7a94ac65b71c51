// Log-likelihoods of whole texts, however long: lm-evaluation-harness's rolling windows.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "evals/answer.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

/// A window of a text: what is fed, and from where on it predicts the token that follows it.
struct RollingWindow {
  size_t begin = 0;      // first token fed, counted in the text with its prefix token before it
  size_t end = 0;        // behind the last token fed
  size_t predicted = 0;  // the last so many positions predict; each token of a text exactly once
};

/// Windows of at most `length` tokens over a text of `tokens` tokens behind a prefix token: the
/// first predicts `length` of them, each later one the next `length` from one token of context; the
/// last window is as long as the others, so that what it predicts has more context.
std::vector<RollingWindow> RollingWindows(size_t tokens, size_t length);

/// Σ ln p over all tokens of each text, none of them empty; before a text stands BOS (or EOS).
/// An answer has one log-likelihood. Windows are as long as the model's context. Error(kNonFinite,
/// kOutOfMemory, kInterrupted).
Scored ScoreRolling(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                    std::span<const std::string> texts, const ScoreOptions& options);

}  // namespace crossover::evals

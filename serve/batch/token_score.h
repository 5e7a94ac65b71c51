// Log-probabilities of tokens, with the likeliest alternatives, out of rows of logits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace crossover::serve {

using tokenizer::TokenId;

struct Alternative {
  TokenId id = 0;
  double log_p = 0;
};

struct TokenScore {
  TokenId id = 0;
  double log_p = 0;
  std::vector<Alternative> top;  // the likeliest, best first; of equals the lower id first
};

/// ln p of `token`, and the `top` likeliest of the first `tokens` rows, which stand for tokens. The
/// softmax is that of engine/run/log_softmax.h, so that sums are those of `eval`. Where the logits
/// are no numbers, log_p is NaN.
TokenScore ScoreToken(std::span<const float> logits, size_t tokens, TokenId token, size_t top);

}  // namespace crossover::serve

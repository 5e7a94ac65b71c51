// The log-probability of a token, from a row of logits, in the precision of llama-perplexity.
#pragma once

#include <cstddef>
#include <span>

#include "tokenizer/tokenizer.h"

namespace crossover::evals {

/// What a row of logits needs for any of its log-probabilities:
/// ln p_k = (logit_k - maximum) - log_sum, with log_sum = ln Σ exp(logit_k - maximum).
struct RowNormaliser {
  float maximum = 0;
  float minimum = 0;
  double log_sum = 0;
  tokenizer::TokenId argmax = 0;  // the first of equals
  bool finite = false;            // false: a NaN or infinity among the logits
};

/// Exponentials in float32, their sum in double. Two passes, 2 flops and ~12 ops a logit.
RowNormaliser Normalise(std::span<const float> logits);

/// exp(x) for x ≤ 0 within 2 ulp; 0 below -87. Plain enough for the compiler to vectorise.
float ExpNonPositive(float x);

/// ln p_token. The difference to the maximum is rounded to float32, as the protocol does.
inline double LogProbability(const RowNormaliser& row, std::span<const float> logits,
                             tokenizer::TokenId token) {
  return static_cast<double>(logits[static_cast<size_t>(token)] - row.maximum) - row.log_sum;
}

}  // namespace crossover::evals

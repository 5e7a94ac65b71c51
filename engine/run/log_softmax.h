// The log-probability of a token, from a row of logits, in the precision of llama-perplexity.
#pragma once

#include <cstddef>
#include <span>

#include "tokenizer/tokenizer.h"

namespace crossover::engine {

struct RowExtremes {
  float maximum = 0;
  float minimum = 0;
  tokenizer::TokenId argmax = 0;  // the first of equals
  bool finite = false;            // false: a NaN or infinity among the logits; the rest is void
};

/// Precondition: `logits` is not empty.
RowExtremes FindExtremes(std::span<const float> logits);

/// What a row of logits needs for any of its log-probabilities:
/// ln p_k = (logit_k - maximum) - log_sum, with log_sum = ln Σ_k exp(logit_k - maximum).
struct RowNormaliser : RowExtremes {
  double log_sum = 0;
};

/// Exponentials in float32, their sum in double.
RowNormaliser Normalise(std::span<const float> logits);

/// x[i] ← exp(x[i]) within 2 ulp of float32 for x[i] ≤ 0. What is below -87 counts as -87: 1.6e-38,
/// which no sum that has a term of 1 in it can see. Vector code on any machine.
void ExpNonPositive(std::span<float> x);

/// ln p_token. The difference to the maximum is rounded to float32, as the protocol does.
inline double LogProbability(const RowNormaliser& row, std::span<const float> logits,
                             tokenizer::TokenId token) {
  return static_cast<double>(logits[static_cast<size_t>(token)] - row.maximum) - row.log_sum;
}

}  // namespace crossover::engine

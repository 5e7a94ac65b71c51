// From logits to the next token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace crossover::engine {

struct SamplerOptions {
  float temperature = 0.8f;  // 0: greedy (first of equals)
  size_t top_k = 40;         // 0: off
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  uint64_t seed = 0;
};

/// Filters in llama.cpp's default order: top-k, top-p, min-p, temperature; then one draw.
class Sampler {
 public:
  /// Error(kInvalidArgument) for values out of range.
  explicit Sampler(const SamplerOptions& options);
  /// Error(kNonFinite) if a logit is NaN or all are -inf.
  tokenizer::TokenId Sample(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    tokenizer::TokenId id;
    float p;
  };

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
};

/// The first of the largest logits. Error(kNonFinite) on NaN.
tokenizer::TokenId ArgMax(std::span<const float> logits);

}  // namespace crossover::engine

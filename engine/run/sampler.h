// From logits to the next token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace crossover::engine {

struct SamplerOptions {
  float temperature = 0.8f;     // 0: greedy (first of equals)
  size_t top_k = 40;            // 0: off
  float top_p = 0.95f;          // 1: off
  float min_p = 0.05f;          // 0: off
  float repeat_penalty = 1.0f;  // 1: off
  size_t repeat_last_n = 64;    // tokens that the penalty looks back at, the prompt's included
  uint64_t seed = 0;
};

/// Penalises, then filters in llama.cpp's default order: top-k, top-p, min-p, temperature; then one
/// draw. What it draws depends on the options, the logits and what it drew and saw before alone.
class Sampler {
 public:
  /// Error(kInvalidArgument) for values out of range.
  explicit Sampler(const SamplerOptions& options);
  /// A token that the text has now: of the prompt, or the one that was sampled.
  void See(tokenizer::TokenId token);
  /// Error(kNonFinite) if a logit is NaN or all are -inf.
  tokenizer::TokenId Sample(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    tokenizer::TokenId id;
    double p;
  };
  std::span<const float> Penalise(std::span<const float> logits);
  void KeepLikeliest(std::span<const float> logits);
  void KeepMass();
  tokenizer::TokenId Draw();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::deque<tokenizer::TokenId> recent_;
  std::vector<float> penalised_;
  std::vector<Candidate> candidates_;
};

/// The first of the largest logits. Error(kNonFinite) on NaN.
tokenizer::TokenId ArgMax(std::span<const float> logits);

}  // namespace crossover::engine

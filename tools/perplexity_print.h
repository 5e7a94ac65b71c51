// Tables and JSON of `crossover perplexity`.
#pragma once

#include <string>
#include <vector>

#include "evals/kl_divergence.h"
#include "evals/perplexity.h"

namespace crossover::tools {

void PrintPerplexity(const evals::PerplexityResult& result, bool json);
void PrintKlDivergence(const evals::KlDivergenceResult& result, bool json);

struct ModelPerplexity {
  std::string model;  // its path
  evals::PerplexityResult result;
};

/// Several models over the same tokens, each paired with the first.
void PrintPerplexities(const std::vector<ModelPerplexity>& results, bool json);

}  // namespace crossover::tools

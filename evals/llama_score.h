// llama-perplexity's scores of HellaSwag, WinoGrande and multiple choice. They are metrics of their
// own: log-likelihoods are averaged over tokens, and tokens that all choices begin with are left
// out; docs/tasks.md tells how they differ from lm-evaluation-harness's.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/run/engine.h"
#include "evals/evaluate.h"
#include "evals/llama_data.h"

namespace crossover::evals {

struct LlamaOutcome {
  std::vector<double> score;  // mean ln p of each choice's tokens that count
  size_t chosen = 0;
  bool correct = false;
};

struct LlamaResult {
  /// "acc_tokens", with sqrt(p (1 - p) / (n - 1)).
  MetricResult metric;
  std::pair<double, double> wilson;  // its 95 % interval by Wilson (1927), as for HellaSwag there
  double chance = 0;                 // of guessing: items / choices
  std::vector<LlamaOutcome> outcomes;
  size_t truncated = 0;  // items whose beginning was cut to fit the model's context
};

/// Items are context, choice and what follows it, tokenised as one text with BOS where the
/// vocabulary adds it; from the first token in which the choices differ,
///   HellaSwag, multiple choice  all tokens count; the first of equals wins
///   WinoGrande                  tokens after the choice count, but for the last one; if less than
///                               four tokens differ, all but the last one; the second of equals
///                               wins
/// Error(kInvalidArgument, kNonFinite, kInterrupted, kUnsupported).
LlamaResult EvaluateLlama(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                          const LlamaTask& task, const TaskProgress& progress);

/// Wilson's interval of `hits` of n at 95 %.
std::pair<double, double> WilsonInterval(size_t hits, size_t n);

}  // namespace crossover::evals

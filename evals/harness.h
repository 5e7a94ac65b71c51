// Log-likelihood tasks by lm-evaluation-harness's definitions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "evals/evaluate.h"
#include "evals/question.h"

namespace crossover::evals {

struct QuestionOutcome {
  std::vector<double> log_likelihood;  // Σ ln p of each choice
  std::vector<bool> greedy;            // whether greedy decoding would say it
  /// Of each HarnessMetric of the task, in its order: 0 or 1; a share of probability where several
  /// choices are right; Σ ln p for perplexity.
  std::vector<double> values;
};

struct QuestionSetResult {
  std::string name;
  std::string group;
  std::vector<QuestionOutcome> outcomes;  // in the set's order
  size_t truncated = 0;                   // prompts whose beginning was cut to fit the context
};

/// acc: argmax Σ ln p; acc_norm and acc_bytes: argmax of Σ ln p over the choice's code points or
/// UTF-8 bytes, without the delimiter. The first of equals wins. Without an answer's labels acc is
/// `greedy`. Precondition: both vectors as long as the question.
QuestionOutcome JudgeQuestion(const TaskFile& task, const Question& question,
                              std::vector<double> log_likelihood, std::vector<bool> greedy);

/// Runs the model. Error(kInvalidArgument, kNonFinite, kInterrupted).
QuestionSetResult EvaluateQuestions(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                    const TaskFile& task, const QuestionSet& set,
                                    const TaskProgress& progress);

/// Means with sqrt(Σ (x - x̄)² / (n - 1) / n); perplexity is exp(-mean Σ ln p) with the error
/// carried over to first order. With several members: theirs, then for each group and for all the
/// mean over items with the pooled error sqrt(Σ (n_k - 1) n_k se_k² / (N - K) / N).
std::vector<MetricResult> SummariseQuestions(const TaskFile& task,
                                             std::span<const QuestionSetResult> sets);

std::string MetricName(HarnessMetric metric);

}  // namespace crossover::evals

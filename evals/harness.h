// Tasks by lm-evaluation-harness's definitions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "evals/answer_journal.h"
#include "evals/evaluate.h"
#include "evals/judge.h"
#include "evals/question.h"

namespace crossover::evals {

struct QuestionSetResult {
  std::string name;
  std::string group;
  std::vector<QuestionOutcome> outcomes;  // in the set's order
  size_t truncated = 0;                   // prompts whose beginning was cut to fit the context
  size_t shortened = 0;  // answers that had room for fewer tokens than the task allows
  size_t resumed = 0;    // requests that an earlier run had answered
};

struct QuestionOptions {
  ScoreOptions score{};
  AnswerJournal* journal = nullptr;
  const ProgramRunner* program_runner = nullptr;  // null: generated programs are not run
};

/// Runs the model. Error(kInvalidArgument, kNonFinite, kInterrupted).
QuestionSetResult EvaluateQuestions(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                    const TaskFile& task, const QuestionSet& set,
                                    const QuestionOptions& options);

/// Tokens of the longest sequence that the set's requests make, those that may be generated
/// included.
size_t LongestRequest(const tokenizer::Tokenizer& tokenizer, const TaskFile& task,
                      const QuestionSet& set, bool parse_special = false);

/// Means with sqrt(Σ (x - x̄)² / (n - 1) / n); perplexities are exp(-Σ ln p / Σ weights) with the
/// error over items carried over to first order. With several members: theirs, then for each group
/// and for all the mean over items with the pooled error sqrt(Σ (n_k - 1) n_k se_k² / (N - K) / N).
std::vector<MetricResult> SummariseQuestions(const TaskFile& task,
                                             std::span<const QuestionSetResult> sets);

}  // namespace crossover::evals

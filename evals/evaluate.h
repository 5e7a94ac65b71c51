// Accuracy of a model on a task.
//
// Items are scored many at a time, by the scheduler. An engine with EvaluationEngineOptions makes
// an item's result independent of which others share its passes, to the bit.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "evals/answer.h"
#include "evals/answer_journal.h"
#include "evals/statistics.h"
#include "evals/task.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

struct TaskOptions {
  size_t limit = 0;  // the first so many items; 0: all
  /// So many other items of the same task (the first ones that are not the item itself), answered,
  /// come before each item, joined by blank lines.
  size_t fewshot = 0;
  size_t max_new_tokens = 64;  // generation; raised where an answer is longer
  /// Generate whole lines even where the text so far cannot match any more (for reading samples;
  /// the metric is the same).
  bool whole_answers = false;
  TaskProgress progress{};  // may be null
  AnswerJournal* journal = nullptr;
};

struct MetricResult {
  std::string task;
  std::string metric;         // "acc", "acc_norm", "exact_match"
  double value = 0;           // NaN: not measured, for the reason given
  double standard_error = 0;  // sqrt(p (1 - p) / (n - 1)); NaN for one item
  size_t n = 0;
  bool is_proportion = true;  // false: "perplexity"
  /// Of each item: what the mean is taken of; of "perplexity" ln p. For paired comparison.
  std::vector<double> values = {};
  std::string filter = {};  // of the harness's filters, "strict-match"; empty: none
  std::string reason = {};

  std::string full_name() const { return filter.empty() ? metric : metric + "," + filter; }
};

/// One item's outcome, in the file's order.
struct ItemResult : Answer {
  bool correct = false;       // acc, exact_match
  bool correct_norm = false;  // acc_norm
  size_t chosen = 0;
  size_t chosen_norm = 0;
  // `generated` is trimmed, and cut short once it cannot match unless whole_answers.
};

/// Fills chosen, chosen_norm, correct and correct_norm from log_likelihood; the first of equals
/// wins.
void Choose(const MultipleChoiceItem& item, ItemResult& result);

struct TaskResult {
  std::string task;
  std::vector<MetricResult> metrics;
  std::vector<ItemResult> items;
  size_t truncated = 0;  // items whose beginning was cut to fit the model's context
};

/// Multiple choice gives acc (largest Σ ln p) and acc_norm (largest Σ ln p / characters of the
/// choice without its leading space); generation gives exact_match. Ties go to the first.
/// Error(kInvalidArgument, kNonFinite, kInterrupted).
TaskResult EvaluateTask(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        const Task& task, const TaskOptions& options = {});

}  // namespace crossover::evals

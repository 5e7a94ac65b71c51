// Accuracy of a model on a task.
//
// Items are scored many at a time, by the scheduler. An engine with EvaluationEngineOptions makes
// an item's result independent of which others share its passes, to the bit.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "evals/statistics.h"
#include "evals/task.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

/// Called with items done and in all.
using TaskProgress = std::function<void(size_t done, size_t total)>;

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
};

struct MetricResult {
  std::string task;
  std::string metric;  // "acc", "acc_norm", "exact_match"
  double value = 0;
  double standard_error = 0;  // sqrt(p (1 - p) / (n - 1)); NaN for one item
  size_t n = 0;
  bool is_proportion = true;  // false: "perplexity"
};

/// One item's outcome, in the file's order.
struct ItemResult {
  bool correct = false;                // acc, exact_match
  bool correct_norm = false;           // acc_norm
  std::vector<double> log_likelihood;  // Σ ln p of each choice
  std::vector<bool> greedy;            // whether greedy decoding would say the choice
  size_t chosen = 0;
  size_t chosen_norm = 0;
  std::string generated;  // trimmed; cut short once it cannot match unless whole_answers
};

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

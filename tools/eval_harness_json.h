// Results as lm-evaluation-harness writes them, so that what reads its files reads these.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "evals/evaluate.h"
#include "tools/eval_task.h"

namespace crossover::tools {

/// A model's results, a list of metrics for each task.
struct HarnessReport {
  std::string model;  // as named on the command line
  std::string settings;
  std::string system;         // empty: none
  std::string chat_template;  // empty: none
  bool multiturn = false;
  size_t limit = 0;  // 0: none
  std::chrono::system_clock::time_point start;
  std::vector<EvalTask> tasks;
  std::vector<std::vector<evals::MetricResult>> metrics;
};

/// {results, groups, group_subtasks, configs, versions, n-shot, higher_is_better, n-samples,
/// config, date …}. Proportions are fractions; what was not measured is null.
std::string HarnessJson(const HarnessReport& report);

}  // namespace crossover::tools

// From items to a task's figures.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "evals/harness.h"
#include "evals/statistics.h"

namespace crossover::evals {
namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

double Weight(const QuestionOutcome& outcome, size_t column) {
  return outcome.weights.empty() ? 1 : outcome.weights[column];
}

// -Σ ln p / Σ weights with the error of a ratio of sums over independent items, to first order:
// sqrt(n / (n - 1) Σ (-ln p_i - r w_i)²) / Σ w.
Estimate NegativeLogRatio(const QuestionSetResult& set, size_t column) {
  double sum = 0;
  double weights = 0;
  for (const QuestionOutcome& outcome : set.outcomes) {
    sum -= outcome.values[column];
    weights += Weight(outcome, column);
  }
  Estimate ratio{sum / weights, kNotMeasured};
  const auto n = static_cast<double>(set.outcomes.size());
  if (n < 2) return ratio;
  double squares = 0;
  for (const QuestionOutcome& outcome : set.outcomes) {
    const double off = -outcome.values[column] - ratio.value * Weight(outcome, column);
    squares += off * off;
  }
  ratio.standard_error = std::sqrt(n / (n - 1) * squares) / weights;
  return ratio;
}

Estimate Estimated(HarnessMetric metric, const QuestionSetResult& set, size_t column) {
  if (IsProportion(metric)) {
    Moments moments;
    for (const QuestionOutcome& outcome : set.outcomes) moments.Add(outcome.values[column]);
    // The moments take a NaN's error for rounding.
    const double error = std::isnan(moments.mean()) ? kNotMeasured : moments.standard_error();
    return {moments.mean(), error};
  }
  const Estimate ratio = NegativeLogRatio(set, column);
  if (metric == HarnessMetric::kBitsPerByte) {
    return {ratio.value / std::numbers::ln2, ratio.standard_error / std::numbers::ln2};
  }
  const double perplexity = std::exp(ratio.value);
  return {perplexity, perplexity * ratio.standard_error};
}

MetricResult Summarise(const TaskFile& task, size_t column, const QuestionSetResult& set) {
  const auto [metric, extraction] = task.columns()[column];
  MetricResult result;
  result.task = set.name;
  result.metric = MetricName(metric);
  if (task.kind == RequestKind::kGenerate && task.generate.extractions[extraction].name != "none") {
    result.filter = task.generate.extractions[extraction].name;
  }
  result.n = set.outcomes.size();
  result.is_proportion = IsProportion(metric);
  for (const QuestionOutcome& outcome : set.outcomes) {
    result.values.push_back(outcome.values[column]);
  }
  const Estimate estimate = Estimated(metric, set, column);
  result.value = estimate.value;
  result.standard_error = estimate.standard_error;
  if (metric == HarnessMetric::kPassAt1 && std::isnan(result.value)) {
    result.reason = "generated programs are run only with --run-generated-programs";
  }
  return result;
}

MetricResult Pool(const std::string& name, std::span<const MetricResult> parts) {
  MetricResult pooled = parts[0];
  pooled.task = name;
  pooled.n = 0;
  pooled.values.clear();
  double sum = 0;
  double squares = 0;
  for (const MetricResult& part : parts) {
    const double n = static_cast<double>(part.n);
    pooled.n += part.n;
    pooled.values.insert(pooled.values.end(), part.values.begin(), part.values.end());
    sum += n * part.value;
    if (part.n > 1) squares += (n - 1) * n * part.standard_error * part.standard_error;
  }
  const double n = static_cast<double>(pooled.n);
  pooled.value = sum / n;
  pooled.standard_error =
      pooled.n > parts.size()
          ? std::sqrt(squares / static_cast<double>(pooled.n - parts.size()) / n)
          : std::numeric_limits<double>::quiet_NaN();
  return pooled;
}

}  // namespace

std::vector<MetricResult> SummariseQuestions(const TaskFile& task,
                                             std::span<const QuestionSetResult> sets) {
  std::vector<std::string> groups;
  for (const QuestionSetResult& set : sets) {
    if (groups.empty() || groups.back() != set.group) groups.push_back(set.group);
  }
  std::vector<MetricResult> results;
  const size_t columns = task.columns().size();
  for (size_t column = 0; column < columns; ++column) {
    std::vector<MetricResult> all;
    for (const QuestionSetResult& set : sets) all.push_back(Summarise(task, column, set));
    results.insert(results.end(), all.begin(), all.end());
    for (const std::string& group : groups) {
      std::vector<MetricResult> parts;
      for (size_t i = 0; i < sets.size(); ++i) {
        if (sets[i].group == group) parts.push_back(all[i]);
      }
      if (parts.size() > 1) results.push_back(Pool(task.name + "_" + group, parts));
    }
    if (groups.size() > 1) results.push_back(Pool(task.name, all));
  }
  return results;
}

}  // namespace crossover::evals

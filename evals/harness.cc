#include "evals/harness.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "evals/multiple_choice.h"
#include "evals/prompts.h"
#include "evals/statistics.h"

namespace crossover::evals {
namespace {

// The index of the largest ratio, the first of equals.
template <class Divisor>
size_t Best(const Question& question, const std::vector<double>& log_likelihood,
            const Divisor& divisor) {
  std::vector<double> ratio;
  for (size_t k = 0; k < log_likelihood.size(); ++k) {
    ratio.push_back(log_likelihood[k] / static_cast<double>(divisor(question.choice(k))));
  }
  return static_cast<size_t>(std::max_element(ratio.begin(), ratio.end()) - ratio.begin());
}

// Σ over right choices of p / Σ over all of p, from logarithms that may be far below zero.
double RightShare(const Question& question, const std::vector<double>& log_likelihood) {
  const double most = *std::max_element(log_likelihood.begin(), log_likelihood.end());
  double right = 0;
  double all = 0;
  for (size_t k = 0; k < log_likelihood.size(); ++k) {
    const double p = std::exp(log_likelihood[k] - most);
    all += p;
    if (question.right[k]) right += p;
  }
  return right / all;
}

double Accuracy(const TaskFile& task, const Question& question, const QuestionOutcome& outcome) {
  if (task.labels.empty()) return outcome.greedy[0] ? 1 : 0;
  if (task.mass) return RightShare(question, outcome.log_likelihood);
  const size_t best = Best(question, outcome.log_likelihood, [](const std::string&) { return 1; });
  return best == question.answer() ? 1 : 0;
}

double Value(HarnessMetric metric, const TaskFile& task, const Question& question,
             const QuestionOutcome& outcome) {
  const auto is_best = [&](const auto& divisor) {
    return Best(question, outcome.log_likelihood, divisor) == question.answer() ? 1.0 : 0.0;
  };
  switch (metric) {
    case HarnessMetric::kAcc:
      return Accuracy(task, question, outcome);
    case HarnessMetric::kAccNorm:
      return is_best(CodePoints);
    case HarnessMetric::kAccBytes:
      return is_best([](const std::string& s) { return s.size(); });
    case HarnessMetric::kPerplexity:
      return outcome.log_likelihood[0];
  }
  return std::numeric_limits<double>::quiet_NaN();
}

MetricResult Summarise(const TaskFile& task, size_t metric, const QuestionSetResult& set) {
  MetricResult result;
  result.task = set.name;
  result.metric = MetricName(task.metrics[metric]);
  result.n = set.outcomes.size();
  result.is_proportion = task.metrics[metric] != HarnessMetric::kPerplexity;
  Moments moments;
  for (const QuestionOutcome& outcome : set.outcomes) {
    moments.Add(result.is_proportion ? outcome.values[metric] : -outcome.values[metric]);
  }
  const Estimate estimate = result.is_proportion
                                ? Estimate{moments.mean(), moments.standard_error()}
                                : ExpOfMean(moments);
  result.value = estimate.value;
  result.standard_error = estimate.standard_error;
  return result;
}

MetricResult Pool(const std::string& name, std::span<const MetricResult> parts) {
  MetricResult pooled = parts[0];
  pooled.task = name;
  pooled.n = 0;
  double sum = 0;
  double squares = 0;
  for (const MetricResult& part : parts) {
    const double n = static_cast<double>(part.n);
    pooled.n += part.n;
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

std::string MetricName(HarnessMetric metric) {
  switch (metric) {
    case HarnessMetric::kAcc:
      return "acc";
    case HarnessMetric::kAccNorm:
      return "acc_norm";
    case HarnessMetric::kAccBytes:
      return "acc_bytes";
    case HarnessMetric::kPerplexity:
      return "perplexity";
  }
  return "";
}

QuestionOutcome JudgeQuestion(const TaskFile& task, const Question& question,
                              std::vector<double> log_likelihood, std::vector<bool> greedy) {
  QuestionOutcome outcome{std::move(log_likelihood), std::move(greedy), {}};
  for (const HarnessMetric metric : task.metrics) {
    outcome.values.push_back(Value(metric, task, question, outcome));
  }
  return outcome;
}

QuestionSetResult EvaluateQuestions(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                    const TaskFile& task, const QuestionSet& set,
                                    const TaskProgress& progress) {
  QuestionSetResult result{set.name, set.group, {}, 0};
  std::vector<MultipleChoiceItem> items;
  for (const Question& question : set.questions) {
    for (size_t p = 0; p < question.prompts.size(); ++p) {
      MultipleChoiceItem& item = items.emplace_back();
      item.context = question.prompts[p];
      for (const std::string& choice : question.choices) {
        item.choices.push_back(task.delimiter + choice);
      }
    }
  }
  TaskOptions options;
  options.progress = progress;
  const auto scored = ScoreMultipleChoice(engine, tokenizer, items, options, result.truncated);
  auto next = scored.begin();
  for (const Question& question : set.questions) {
    std::vector<double> log_likelihood;
    std::vector<bool> greedy;
    for (size_t p = 0; p < question.prompts.size(); ++p, ++next) {
      log_likelihood.insert(log_likelihood.end(), next->log_likelihood.begin(),
                            next->log_likelihood.end());
      greedy.insert(greedy.end(), next->greedy.begin(), next->greedy.end());
    }
    result.outcomes.push_back(
        JudgeQuestion(task, question, std::move(log_likelihood), std::move(greedy)));
  }
  return result;
}

std::vector<MetricResult> SummariseQuestions(const TaskFile& task,
                                             std::span<const QuestionSetResult> sets) {
  std::vector<std::string> groups;
  for (const QuestionSetResult& set : sets) {
    if (groups.empty() || groups.back() != set.group) groups.push_back(set.group);
  }
  std::vector<MetricResult> results;
  for (size_t metric = 0; metric < task.metrics.size(); ++metric) {
    std::vector<MetricResult> all;
    for (const QuestionSetResult& set : sets) all.push_back(Summarise(task, metric, set));
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

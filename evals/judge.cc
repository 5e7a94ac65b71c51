#include "evals/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "evals/prompts.h"
#include "evals/wikitext.h"

namespace crossover::evals {
namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

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
    default:
      return outcome.log_likelihood[0];
  }
}

}  // namespace

QuestionOutcome JudgeQuestion(const TaskFile& task, const Question& question,
                              std::vector<double> log_likelihood, std::vector<bool> greedy) {
  QuestionOutcome outcome{{std::move(log_likelihood), std::move(greedy), {}}, {}};
  for (const HarnessMetric metric : task.metrics) {
    outcome.values.push_back(Value(metric, task, question, outcome));
  }
  return outcome;
}

QuestionOutcome JudgeText(const TaskFile& task, const Question& question, double log_likelihood) {
  QuestionOutcome outcome{{{log_likelihood}, {}, {}}, {}};
  const std::string counted = task.counted.Render(question.fields);
  for (const HarnessMetric metric : task.metrics) {
    const bool by_words = metric == HarnessMetric::kWordPerplexity;
    outcome.values.push_back(log_likelihood);
    outcome.weights.push_back(static_cast<double>(by_words ? CountWords(counted) : counted.size()));
  }
  return outcome;
}

QuestionOutcome JudgeGenerated(const TaskFile& task, const AnswerReader& reader,
                               const Question& question, std::string generated,
                               const ProgramRunner* runner) {
  QuestionOutcome outcome{{{}, {}, std::move(generated)}, {}};
  for (size_t k = 0; k < task.generate.extractions.size(); ++k) {
    outcome.extracted.push_back(reader.Extract(k, outcome.generated));
  }
  for (const auto& [metric, extraction] : task.columns()) {
    const std::string& extracted = outcome.extracted[extraction];
    if (metric == HarnessMetric::kExactMatch) {
      outcome.values.push_back(reader.Same(extracted, question.choices[0]) ? 1 : 0);
    } else if (runner == nullptr) {
      outcome.values.push_back(kNotMeasured);
    } else {
      Record fields = question.fields;
      fields["generated"] = extracted;
      outcome.failure = runner->Run(task.generate.program.Render(fields));
      outcome.values.push_back(outcome.failure.empty() ? 1 : 0);
    }
  }
  return outcome;
}

}  // namespace crossover::evals

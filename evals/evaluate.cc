#include "evals/evaluate.h"

#include "evals/generation.h"
#include "evals/multiple_choice.h"

namespace crossover::evals {
namespace {

MetricResult Metric(const Task& task, const char* name, const std::vector<ItemResult>& items,
                    bool ItemResult::*correct) {
  size_t hits = 0;
  for (const ItemResult& item : items) hits += item.*correct ? 1 : 0;
  const Estimate p = Proportion(hits, items.size());
  return {task.name, name, p.value, p.standard_error, items.size()};
}

}  // namespace

TaskResult EvaluateTask(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        const Task& task, const TaskOptions& options) {
  TaskResult result;
  result.task = task.name;
  if (const auto* choices = std::get_if<std::vector<MultipleChoiceItem>>(&task.items)) {
    result.items = ScoreMultipleChoice(engine, tokenizer, *choices, options, result.truncated);
    result.metrics = {Metric(task, "acc", result.items, &ItemResult::correct),
                      Metric(task, "acc_norm", result.items, &ItemResult::correct_norm)};
  } else {
    const auto& generations = std::get<std::vector<GenerationItem>>(task.items);
    result.items = ScoreGeneration(engine, tokenizer, generations, options, result.truncated);
    result.metrics = {Metric(task, "exact_match", result.items, &ItemResult::correct)};
  }
  return result;
}

}  // namespace crossover::evals

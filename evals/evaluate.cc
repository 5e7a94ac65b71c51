#include "evals/evaluate.h"

#include <algorithm>
#include <string_view>

#include "evals/ask.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

std::vector<ItemResult> ToResults(std::vector<Answer> answers) {
  std::vector<ItemResult> results;
  for (Answer& answer : answers) results.push_back({std::move(answer)});
  return results;
}

template <class Item>
size_t Count(const std::vector<Item>& items, const TaskOptions& options) {
  return options.limit == 0 ? items.size() : std::min(options.limit, items.size());
}

std::vector<ItemResult> ScoreItems(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                   const std::vector<MultipleChoiceItem>& all,
                                   const TaskOptions& options, size_t& truncated) {
  std::vector<MultipleChoiceItem> items;
  for (size_t i = 0; i < Count(all, options); ++i) {
    items.push_back(all[i]);
    items[i].context = FewshotPrefix(all, i, options.fewshot) + all[i].context;
  }
  Scored scored = AnswerChoices(engine, tokenizer, items, options.journal, {options.progress});
  truncated = scored.truncated;
  std::vector<ItemResult> results = ToResults(std::move(scored.answers));
  for (size_t i = 0; i < items.size(); ++i) Choose(items[i], results[i]);
  return results;
}

std::vector<ItemResult> ScoreItems(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                   const std::vector<GenerationItem>& all,
                                   const TaskOptions& options, size_t& truncated) {
  std::vector<GenerationRequest> requests;
  for (size_t i = 0; i < Count(all, options); ++i) {
    GenerationRequest& request = requests.emplace_back();
    request.prompt = FewshotPrefix(all, i, options.fewshot) + all[i].prompt;
    request.until = {"\n"};
    // The answer's tokens, a leading space and the end of the line.
    const std::string& answer = all[i].answer;
    const size_t expected = tokenizer.Encode(answer, {.add_special = false}).size() + 4;
    request.max_tokens = std::max(options.max_new_tokens, expected);
    if (!options.whole_answers) {
      request.wanted = answer;
      request.goes_on = [&answer](std::string_view text) { return CanStillMatch(text, answer); };
    }
  }
  Scored scored = AnswerPrompts(engine, tokenizer, requests, options.journal, {options.progress});
  truncated = scored.truncated;
  std::vector<ItemResult> results = ToResults(std::move(scored.answers));
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].generated = std::string(Trim(results[i].generated));
    results[i].correct = results[i].generated == Trim(all[i].answer);
  }
  return results;
}

MetricResult Metric(const Task& task, const char* name, const std::vector<ItemResult>& items,
                    bool ItemResult::*correct) {
  size_t hits = 0;
  for (const ItemResult& item : items) hits += item.*correct ? 1 : 0;
  const Estimate p = Proportion(hits, items.size());
  MetricResult result{task.name, name, p.value, p.standard_error, items.size()};
  for (const ItemResult& item : items) result.values.push_back(item.*correct ? 1 : 0);
  return result;
}

}  // namespace

void Choose(const MultipleChoiceItem& item, ItemResult& result) {
  std::vector<double> normalised;
  for (size_t k = 0; k < item.choices.size(); ++k) {
    const auto characters = static_cast<double>(Characters(item.choices[k]));
    normalised.push_back(result.log_likelihood[k] / characters);
  }
  const auto best = [](const std::vector<double>& v) {
    return static_cast<size_t>(std::max_element(v.begin(), v.end()) - v.begin());
  };
  result.chosen = best(result.log_likelihood);
  result.chosen_norm = best(normalised);
  result.correct = result.chosen == item.answer;
  result.correct_norm = result.chosen_norm == item.answer;
}

TaskResult EvaluateTask(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        const Task& task, const TaskOptions& options) {
  TaskResult result;
  result.task = task.name;
  result.items = std::visit(
      [&](const auto& items) {
        return ScoreItems(engine, tokenizer, items, options, result.truncated);
      },
      task.items);
  if (std::holds_alternative<std::vector<MultipleChoiceItem>>(task.items)) {
    result.metrics = {Metric(task, "acc", result.items, &ItemResult::correct),
                      Metric(task, "acc_norm", result.items, &ItemResult::correct_norm)};
  } else {
    result.metrics = {Metric(task, "exact_match", result.items, &ItemResult::correct)};
  }
  return result;
}

}  // namespace crossover::evals

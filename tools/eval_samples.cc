#include "tools/eval_samples.h"

#include <nlohmann/json.hpp>

namespace crossover::tools {
namespace {

std::string Line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string SampleLine(const std::string& model, const evals::Task& task, size_t index,
                       const evals::ItemResult& item) {
  nlohmann::json json = {{"model", model}, {"task", task.name}, {"item", index}};
  if (const auto* choices = std::get_if<std::vector<evals::MultipleChoiceItem>>(&task.items)) {
    const evals::MultipleChoiceItem& source = (*choices)[index];
    json.update({{"context", source.context},
                 {"choices", source.choices},
                 {"answer", source.answer},
                 {"log_likelihood", item.log_likelihood},
                 {"chosen", item.chosen},
                 {"chosen_norm", item.chosen_norm},
                 {"acc", item.correct},
                 {"acc_norm", item.correct_norm}});
  } else {
    const auto& source = std::get<std::vector<evals::GenerationItem>>(task.items)[index];
    json.update({{"prompt", source.prompt},
                 {"answer", source.answer},
                 {"generated", item.generated},
                 {"exact_match", item.correct}});
  }
  return Line(json);
}

std::string SampleLine(const std::string& model, const evals::TaskFile& task,
                       const evals::QuestionSet& set, size_t index,
                       const evals::QuestionOutcome& outcome) {
  const evals::Question& source = set.questions[index];
  nlohmann::json json = {{"model", model},
                         {"task", set.name},
                         {"item", index},
                         {"line", source.line},
                         {"delimiter", task.delimiter},
                         {"choices", source.choices},
                         {"log_likelihood", outcome.log_likelihood},
                         {"greedy", outcome.greedy}};
  if (source.prompts.size() == 1) {
    json["prompt"] = source.prompts[0];
  } else {
    json["prompts"] = source.prompts;
  }
  if (task.mass) {
    json["right"] = source.right;
  } else {
    json["answer"] = source.answer();
  }
  for (size_t k = 0; k < task.metrics.size(); ++k) {
    json[evals::MetricName(task.metrics[k])] = outcome.values[k];
  }
  return Line(json);
}

}  // namespace crossover::tools

#include "tools/eval_samples.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace crossover::tools {
namespace {

std::string Line(const nlohmann::json& json) { return DumpJson(json) + "\n"; }

// The index of the right choice, or what should be said.
std::string Target(const evals::TaskFile& task, const evals::Question& question) {
  return task.labels.empty() ? question.choices[0] : fmt::to_string(question.answer());
}

// What was asked, request by request.
nlohmann::json Arguments(const evals::TaskFile& task, const evals::Question& question) {
  nlohmann::json arguments = nlohmann::json::object();
  for (size_t k = 0; k < question.size(); ++k) {
    nlohmann::json& request = arguments[fmt::format("gen_args_{}", k)];
    switch (task.kind) {
      case evals::RequestKind::kChoices:
        request = {{"arg_0", question.prompt(k)}, {"arg_1", task.delimiter + question.choice(k)}};
        break;
      case evals::RequestKind::kGenerate:
        request = {{"arg_0", question.prompt(k)},
                   {"arg_1",
                    {{"until", task.generate.until},
                     {"max_gen_toks", task.generate.max_tokens},
                     {"do_sample", false},
                     {"temperature", 0.0}}}};
        break;
      case evals::RequestKind::kRolling:
        request = {{"arg_0", question.choice(k)}};
        break;
    }
  }
  return arguments;
}

// Texts, as in the harness's files: ["-12.5", "False"].
nlohmann::json Responses(const evals::QuestionOutcome& outcome) {
  nlohmann::json responses = nlohmann::json::array();
  for (size_t k = 0; k < outcome.log_likelihood.size(); ++k) {
    nlohmann::json& response = responses.emplace_back(nlohmann::json::array());
    response.push_back(fmt::to_string(outcome.log_likelihood[k]));
    if (k < outcome.greedy.size()) response.push_back(outcome.greedy[k] ? "True" : "False");
  }
  return responses;
}

// The columns of one filter. A weighted metric is a pair [Σ ln p, weight].
void AddMetrics(const evals::TaskFile& task, const evals::QuestionOutcome& outcome, size_t filter,
                nlohmann::json& json) {
  if (task.kind != evals::RequestKind::kGenerate) json["filter"] = "none";
  json["metrics"] = nlohmann::json::array();
  const auto columns = task.columns();
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].extraction != filter) continue;
    const std::string name(evals::MetricName(columns[i].metric));
    json["metrics"].push_back(name);
    json[name] = outcome.values[i];
    if (!outcome.weights.empty()) json[name] = {outcome.values[i], outcome.weights[i]};
  }
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

std::string SampleLines(const std::string& model, const evals::TaskFile& task,
                        const evals::QuestionSet& set, size_t index,
                        const evals::QuestionOutcome& outcome) {
  const evals::Question& question = set.questions[index];
  nlohmann::json json = {{"model", model},
                         {"task", set.name},
                         {"doc_id", index},
                         {"line", question.line},
                         {"doc", question.fields},
                         {"target", Target(task, question)},
                         {"arguments", Arguments(task, question)}};
  if (task.mass) json["right"] = question.right;
  if (task.kind != evals::RequestKind::kGenerate) {
    json["filtered_resps"] = Responses(outcome);
    json["resps"] = nlohmann::json::array();
    for (const auto& response : json["filtered_resps"]) {
      // Not push_back({response}), which makes an object of a pair.
      json["resps"].push_back(nlohmann::json::array({response}));
    }
    AddMetrics(task, outcome, 0, json);
    return Line(json);
  }
  std::string lines;
  json["resps"] = {{outcome.generated}};
  if (!outcome.failure.empty()) json["failure"] = outcome.failure;
  for (size_t k = 0; k < outcome.extracted.size(); ++k) {
    json["filter"] = task.generate.extractions[k].name;
    json["filtered_resps"] = {outcome.extracted[k]};
    AddMetrics(task, outcome, k, json);
    lines += Line(json);
  }
  return lines;
}

}  // namespace crossover::tools

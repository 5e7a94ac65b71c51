#include "tools/eval_harness_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "evals/example_sampler.h"

namespace crossover::tools {
namespace {

using Json = nlohmann::ordered_json;

Json Number(double value, const Json& otherwise) {
  return std::isfinite(value) ? Json(value) : otherwise;
}

const char* OutputType(evals::RequestKind kind) {
  switch (kind) {
    case evals::RequestKind::kChoices:
      return "multiple_choice";
    case evals::RequestKind::kGenerate:
      return "generate_until";
    case evals::RequestKind::kRolling:
      return "loglikelihood_rolling";
  }
  return "";
}

// "3.0" as the number it is in the harness's files.
Json Version(const std::string& version) {
  if (version.empty()) return "n/a";
  try {
    const Json parsed = ParseOrderedJson(version, {.name = "version"});
    if (parsed.is_number()) return parsed;
  } catch (const Error&) {
    // A text, then.
  }
  return version;
}

Json Config(const evals::TaskFile& task, const std::string& name, size_t fewshot) {
  Json config = {{"task", name},
                 {"output_type", OutputType(task.kind)},
                 {"target_delimiter", task.delimiter},
                 {"num_fewshot", fewshot},
                 {"metric_list", Json::array()}};
  for (const evals::HarnessMetric metric : task.metrics) {
    config["metric_list"].push_back(
        {{"metric", evals::MetricName(metric)}, {"higher_is_better", evals::IsProportion(metric)}});
  }
  if (task.kind == evals::RequestKind::kGenerate) {
    config["generation_kwargs"] = {{"until", task.generate.until},
                                   {"max_gen_toks", task.generate.max_tokens},
                                   {"do_sample", false},
                                   {"temperature", 0.0}};
  }
  config["metadata"] = {{"version", Version(task.version)}};
  return config;
}

class Writer {
 public:
  explicit Writer(const HarnessReport& report) : report_(report) {
    for (const char* key : {"results", "groups", "group_subtasks", "configs", "versions", "n-shot",
                            "higher_is_better", "n-samples"}) {
      json_[key] = Json::object();
    }
    for (size_t i = 0; i < report.tasks.size(); ++i) {
      std::visit([&](const auto& task) { AddTask(task); }, report.tasks[i]);
      for (const evals::MetricResult& metric : report.metrics[i]) AddMetric(metric);
    }
    if (json_["groups"].empty()) json_.erase("groups");
    AddRun();
  }

  std::string Text() const { return DumpJson(json_, 2) + "\n"; }

 private:
  void AddTask(const PlainTask& task) {
    const size_t all = task.task.size();
    AddName(task.task.name, task.fewshot, all, task.limit == 0 ? all : std::min(task.limit, all));
    json_["versions"][task.task.name] = "n/a";
  }

  void AddTask(const HarnessTask& task) {
    for (const evals::QuestionSet& set : task.sets) {
      AddName(set.name, set.fewshot, set.available, set.questions.size());
      json_["versions"][set.name] = Version(task.file.version);
      json_["configs"][set.name] = Config(task.file, set.name, set.fewshot);
      if (set.group.empty()) continue;
      const std::string group = task.file.name + "_" + set.group;
      Json& groups = json_["group_subtasks"];
      if (!groups.contains(group)) groups[task.file.name].push_back(group);
      groups[group].push_back(set.name);
    }
  }

  void AddName(const std::string& name, size_t fewshot, size_t original, size_t effective) {
    tasks_.insert(name);
    json_["group_subtasks"][name] = Json::array();
    json_["n-shot"][name] = fewshot;
    json_["n-samples"][name] = {{"original", original}, {"effective", effective}};
  }

  void AddMetric(const evals::MetricResult& metric) {
    const std::string filter = metric.filter.empty() ? "none" : metric.filter;
    const bool is_group = !tasks_.contains(metric.task);
    for (const char* where : {"results", "groups"}) {
      if (std::string_view(where) == "groups" && !is_group) continue;
      Json& entry = json_[where][metric.task];
      entry["alias"] = metric.task;
      entry[fmt::format("{},{}", metric.metric, filter)] = Number(metric.value, nullptr);
      entry[fmt::format("{}_stderr,{}", metric.metric, filter)] =
          Number(metric.standard_error, "N/A");
    }
    json_["higher_is_better"][metric.task][metric.metric] = metric.is_proportion;
  }

  void AddRun() {
    using Seconds = std::chrono::duration<double>;
    const auto since_epoch = [](auto time) { return Seconds(time.time_since_epoch()).count(); };
    const double start = since_epoch(report_.start);
    const double end = since_epoch(std::chrono::system_clock::now());
    const auto text = [](const std::string& s) { return s.empty() ? Json() : Json(s); };
    json_["config"] = {
        {"model", "crossover"},
        {"model_args", fmt::format("pretrained={},{}", report_.model, report_.settings)},
        {"device", "cpu"},
        {"limit", report_.limit == 0 ? Json() : Json(report_.limit)},
        {"gen_kwargs", nullptr},
        {"fewshot_seed", evals::kExampleSeed}};
    json_["date"] = start;
    json_["model_source"] = "crossover";
    json_["model_name"] = report_.model;
    json_["system_instruction"] = text(report_.system);
    json_["fewshot_as_multiturn"] = report_.multiturn;
    json_["chat_template"] = text(report_.chat_template);
    json_["start_time"] = start;
    json_["end_time"] = end;
    json_["total_evaluation_time_seconds"] = fmt::to_string(end - start);
  }

  const HarnessReport& report_;
  std::set<std::string> tasks_;
  Json json_ = Json::object();
};

}  // namespace

std::string HarnessJson(const HarnessReport& report) { return Writer(report).Text(); }

}  // namespace crossover::tools

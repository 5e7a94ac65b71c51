#include "tools/eval_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/flags.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

/// What the tasks of a call are.
struct Kinds {
  bool plain_answers = false;  // generated for plain items
  bool examples = false;       // that could come before an item
  bool programs = false;
  bool harness = false;
  bool any = false;  // besides llama-perplexity's scores
};

Kinds KindsOf(const std::vector<EvalTask>& tasks) {
  Kinds kinds;
  for (const EvalTask& task : tasks) {
    kinds.any = true;
    if (const auto* plain = std::get_if<PlainTask>(&task)) {
      kinds.examples = true;
      kinds.plain_answers |=
          std::holds_alternative<std::vector<evals::GenerationItem>>(plain->task.items);
      continue;
    }
    const evals::TaskFile& file = std::get<HarnessTask>(task).file;
    kinds.harness = true;
    kinds.examples |= file.kind != evals::RequestKind::kRolling;
    const auto& metrics = file.metrics;
    kinds.programs |= std::ranges::find(metrics, evals::HarnessMetric::kPassAt1) != metrics.end();
  }
  return kinds;
}

}  // namespace

void CheckEvalFlags(const EvalFlags& flags, const GlobalOptions& globals) {
  RefuseCsvWithJson(flags.csv, globals);
  if (!flags.harness_json.empty() && flags.models.size() > 1) {
    throw UsageError("--harness-json: holds the results of one model; name one");
  }
  if (flags.compare && flags.models.size() < 2) {
    throw UsageError("--compare needs two models or more");
  }
  std::set<std::string> seen;
  for (const std::string& task : flags.tasks) {
    if (task.empty()) throw UsageError("--tasks: a name is empty");
    if (!seen.insert(task).second) {
      throw UsageError(fmt::format("--tasks: {} is named twice", task));
    }
  }
  std::vector<std::string> others = flags.models;
  for (const std::string& output : {flags.resume, flags.samples, flags.harness_json}) {
    RefuseOutputOverInput(output, others);
    others.push_back(output);
  }
}

void WarnOfIdleEvalFlags(const Subcommand& command, const std::vector<EvalTask>& tasks,
                         const std::vector<evals::LlamaTask>& llama_tasks) {
  const Kinds kinds = KindsOf(tasks);
  const auto warn = [&](const char* name, bool used, const char* why) {
    if (used || command.Given({name}).empty()) return;
    Warn(fmt::format("{} has no effect: {}", name, why));
  };
  constexpr const char* kLlama = "llama-perplexity's scores have no such thing";
  for (const char* name : {"--log-samples", "--resume", "--harness-json", "--system",
                           "--chat-template", "--fewshot"}) {
    warn(name, kinds.any, kLlama);
  }
  if (kinds.any && !llama_tasks.empty()) {
    for (const std::string& name : command.Given(
             {"--log-samples", "--harness-json", "--system", "--chat-template", "--fewshot"})) {
      Warn(fmt::format("{} does not hold for the llama_ tasks", name));
    }
  }
  warn("--fewshot", kinds.examples || !kinds.any, "none of the tasks has examples");
  warn("--max-new-tokens", kinds.plain_answers,
       "it is for answers of plain items; task files say how long theirs are");
  warn("--run-generated-programs", kinds.programs, "no task asks for programs");
}

}  // namespace crossover::tools

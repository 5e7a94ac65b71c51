#include "tools/eval_task.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "base/visible_text.h"
#include "evals/embedded.h"
#include "evals/shipped_tasks.h"

namespace crossover::tools {
namespace {

using std::filesystem::path;

std::string ShippedNames() {
  std::string names;
  for (const evals::ShippedTask& task : evals::ShippedTasks()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", task.name);
  }
  return names;
}

path HarnessData(const std::string& name, const EvalTaskFlags& flags) {
  if (!flags.data.empty()) return flags.data;
  if (name.ends_with(".json")) {
    const path parent = path(name).parent_path();
    return parent.empty() ? path(".") : parent;
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: its data does not come with this program; say with --data DIR where "
                          "the data sets lie (docs/tasks.md)",
                          name));
}

void WarnOfCount(const HarnessTask& task) {
  size_t found = 0;
  for (const evals::QuestionSet& set : task.sets) found += set.available;
  const size_t published = task.file.published_count;
  if (published == 0 || published == found) return;
  fmt::print(stderr, "crossover: {}: {} items in the data; the published set has {}\n",
             VisibleText(task.file.name), found, published);
}

HarnessTask LoadHarnessTask(const std::string& name, evals::TaskFile file,
                            const EvalTaskFlags& flags, evals::PromptStyle style) {
  const path data = HarnessData(name, flags);
  HarnessTask task{std::move(file), {}};
  style.fewshot = flags.fewshot.value_or(task.file.fewshot);
  for (const evals::TaskMember& member : task.file.members) {
    task.sets.push_back(evals::LoadQuestions(task.file, member, data, flags.limit, style));
  }
  const bool is_chat = style.chat && task.file.kind == evals::RequestKind::kChoices;
  if (is_chat) task.file.delimiter.clear();
  return task;
}

EvalTask LoadOne(const std::string& name, const path& data, const EvalTaskFlags& flags,
                 const evals::PromptStyle& style) {
  std::error_code ignored;
  const bool is_items = std::filesystem::is_regular_file(data / (name + ".jsonl"), ignored);
  if (!is_items) {
    if (auto file = evals::FindTaskFile(name)) {
      return LoadHarnessTask(name, *std::move(file), flags, style);
    }
  }
  if (is_items && (style.chat || !style.system.empty())) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: plain items take no chat template and no system text; write a task "
                    "file (docs/tasks.md)",
                    name));
  }
  try {
    return PlainTask{evals::LoadTask(data, name), flags.limit, flags.fewshot.value_or(0)};
  } catch (const Error& error) {
    if (is_items) throw;
    throw Error(error.code(), fmt::format("{}; shipped: {}", error.what(), ShippedNames()));
  }
}

}  // namespace

void WarnOfCounts(const std::vector<EvalTask>& tasks) {
  for (const EvalTask& task : tasks) {
    if (const auto* harness = std::get_if<HarnessTask>(&task)) WarnOfCount(*harness);
  }
}

std::vector<EvalTask> LoadEvalTasks(const EvalTaskFlags& flags, const evals::PromptStyle& style) {
  const path data = flags.data.empty() ? evals::EmbeddedTasks() : path(flags.data);
  std::vector<EvalTask> tasks;
  for (const std::string& name : flags.tasks.empty() ? evals::ListTasks(data) : flags.tasks) {
    tasks.push_back(LoadOne(name, data, flags, style));
  }
  if (!tasks.empty()) return tasks;
  throw Error(ErrorCode::kNotFound,
              fmt::format("{}: no task files (*.jsonl) in it; name tasks with --tasks: {}",
                          data.string(), ShippedNames()));
}

}  // namespace crossover::tools

#include "tools/eval_task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "base/counted.h"
#include "base/error.h"
#include "base/file_kind.h"
#include "base/output_file.h"
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
  fmt::print(stderr, "crossover: {}: {} in the data; the published set has {}\n",
             VisibleText(task.file.name), Counted(found, "item"), published);
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

bool IsFile(const path& file) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(file, ignored);
}

/// The file that a name means which is written as a path: with a folder or an extension. Empty for
/// plain names.
path FileOf(const std::string& name, const path& data) {
  const bool has_extension = name.ends_with(".jsonl") || name.ends_with(".json");
  if (!has_extension && name.find('/') == std::string::npos) return {};
  std::vector<std::string> tried;
  for (const path& base : {path(), data}) {
    for (const char* extension : {"", ".jsonl", ".json"}) {
      if (has_extension && *extension != '\0') continue;
      const path file = base / (name + extension);
      if (IsFile(file)) return file;
      tried.push_back(file.string());
    }
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("no task file {}: there is none of {}", name, fmt::join(tried, ", ")));
}

EvalTask LoadItems(const evals::Task& task, const EvalTaskFlags& flags,
                   const evals::PromptStyle& style) {
  if (style.chat || !style.system.empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: plain items take no chat template and no system text; write a task "
                    "file (docs/tasks.md)",
                    task.name));
  }
  return PlainTask{task, flags.limit, flags.fewshot.value_or(0)};
}

/// Items of their own, a line each, and not a task file in JSON.
bool HoldsItems(const path& file) { return file.extension() != ".json"; }

EvalTask LoadOne(const std::string& name, const path& data, const EvalTaskFlags& flags,
                 const evals::PromptStyle& style) {
  path file = FileOf(name, data);
  if (file.empty() && IsFile(data / (name + ".jsonl"))) file = data / (name + ".jsonl");
  if (!file.empty() && HoldsItems(file)) {
    const std::string text = ReadFile(file);
    CheckIsData(text, file.string());
    return LoadItems(evals::ParseTask(file.stem().string(), text, file.string()), flags, style);
  }
  const std::string known = file.empty() ? name : file.string();
  if (auto task = evals::FindTaskFile(known)) {
    return LoadHarnessTask(known, *std::move(task), flags, style);
  }
  try {
    return LoadItems(evals::LoadTask(data, name), flags, style);
  } catch (const Error& error) {
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

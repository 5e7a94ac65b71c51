// The tasks `eval` is asked for, found and read.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "evals/question.h"
#include "evals/task.h"
#include "evals/task_file.h"

namespace crossover::tools {

/// A task in lm-evaluation-harness's manner with the items of each of its members.
struct HarnessTask {
  evals::TaskFile file;
  std::vector<evals::QuestionSet> sets;
};

/// Plain items, all of them.
struct PlainTask {
  evals::Task task;
  size_t limit = 0;
  size_t fewshot = 0;
};

using EvalTask = std::variant<PlainTask, HarnessTask>;

struct EvalTaskFlags {
  std::vector<std::string> tasks;  // empty: every *.jsonl under `data`
  std::string data;                // empty: the reference family's tasks
  size_t limit = 0;                // 0: all items
  std::optional<size_t> fewshot;   // nothing: as many as the task itself says
};

/// A name is DATA/NAME.jsonl, a shipped task (or part of it), or, with a folder or an extension in
/// it, a path: to items (.jsonl, or without an extension) or to a task file in JSON, whose data
/// lies under DATA or else beside it. Error(kNotFound) says what there is. With `chat`, which makes
/// a prompt of messages, choices follow without a delimiter: they are the assistant's turn.
std::vector<EvalTask> LoadEvalTasks(const EvalTaskFlags& flags,
                                    const evals::PromptStyle& style = {});

/// A line on stderr for each task whose data has another number of items than the published set.
void WarnOfCounts(const std::vector<EvalTask>& tasks);

}  // namespace crossover::tools

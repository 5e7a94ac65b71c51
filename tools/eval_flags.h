// The words of `crossover eval`, and which of them can have no effect beside the others.
#pragma once

#include <string>
#include <vector>

#include "evals/llama_score.h"
#include "tools/command.h"
#include "tools/eval_task.h"

namespace crossover::tools {

struct EvalFlags : EvalTaskFlags {
  std::vector<std::string> models;
  std::string samples;
  std::string resume;
  std::string harness_json;
  std::string system;
  bool chat = false;
  bool multiturn = false;
  bool run_programs = false;
  size_t max_new_tokens = 64;
  bool csv = false;
  bool compare = false;
};

/// UsageError for words that exclude each other.
void CheckEvalFlags(const EvalFlags& flags, const GlobalOptions& globals);

/// A warning for each word of the call that none of the tasks has a use for.
void WarnOfIdleEvalFlags(const Subcommand& command, const std::vector<EvalTask>& tasks,
                         const std::vector<evals::LlamaTask>& llama_tasks);

}  // namespace crossover::tools

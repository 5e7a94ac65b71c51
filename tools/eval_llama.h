// `crossover eval` on llama-perplexity's own scores.
#pragma once

#include <string>
#include <vector>

#include "evals/llama_score.h"
#include "tools/command.h"
#include "tools/eval_task.h"

namespace crossover::tools {

/// Takes their names out of flags.tasks and reads their data.
std::vector<evals::LlamaTask> TakeLlamaTasks(EvalTaskFlags& flags);

/// One result a task; says on stderr what an interval or a cut needs saying.
std::vector<evals::MetricResult> EvaluateLlamaTasks(const std::string& model,
                                                    const std::vector<evals::LlamaTask>& tasks,
                                                    const GlobalOptions& globals);

}  // namespace crossover::tools

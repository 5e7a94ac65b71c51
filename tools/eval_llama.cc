#include "tools/eval_llama.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/counted.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/say.h"
#include "engine/model/load_tokenizer.h"
#include "evals/capacity.h"
#include "tools/model_warnings.h"

namespace crossover::tools {

std::vector<evals::LlamaTask> TakeLlamaTasks(EvalTaskFlags& flags) {
  std::vector<evals::LlamaTask> tasks;
  for (const std::string& name : flags.tasks) {
    if (!evals::IsLlamaTask(name)) continue;
    if (flags.data.empty() && !name.ends_with(".bin")) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: its data does not come with this program; say with --data DIR "
                              "where the data sets lie (docs/tasks.md)",
                              name));
    }
    tasks.push_back(evals::LoadLlamaTask(name, flags.data, flags.limit));
  }
  std::erase_if(flags.tasks, evals::IsLlamaTask);
  return tasks;
}

std::vector<evals::MetricResult> EvaluateLlamaTasks(const std::string& path,
                                                    const std::vector<evals::LlamaTask>& tasks,
                                                    const GlobalOptions& globals) {
  const auto model = engine::Model::Load(path, globals.model_options());
  const auto tokenizer = engine::LoadTokenizer(model->file());
  TellWarnings(path, *model);
  TellWarnings(path, *tokenizer);
  engine::Engine engine(model,
                        evals::EvaluationEngineOptions(globals.engine_options(), model->config()));
  const std::string file = std::filesystem::path(path).filename().string();
  std::vector<evals::MetricResult> metrics;
  for (const evals::LlamaTask& task : tasks) {
    std::optional<Progress> bar;
    const auto show = [&](size_t done, size_t total) {
      if (!bar) bar.emplace(fmt::format("{} {}", file, task.name), total, !globals.quiet);
      bar->Update(done);
    };
    evals::LlamaResult result = evals::EvaluateLlama(engine, *tokenizer, task, show);
    bar.reset();
    if (result.truncated > 0) {
      Say(stderr, "crossover: {} {}: {} without the beginning: the model's context is too short\n",
          file, task.name, Counted(result.truncated, "item"));
    }
    if (!globals.quiet) {
      Say(stderr, "{} {}: 95 % interval (Wilson) {:.2f} to {:.2f} %, chance {:.2f} %\n", file,
          task.name, 100 * result.wilson.first, 100 * result.wilson.second, 100 * result.chance);
    }
    metrics.push_back(std::move(result.metric));
  }
  return metrics;
}

}  // namespace crossover::tools

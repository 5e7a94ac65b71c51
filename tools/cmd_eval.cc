// crossover eval: accuracy of models on tasks.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "base/progress.h"
#include "engine/load_tokenizer.h"
#include "evals/capacity.h"
#include "evals/evaluate.h"
#include "evals/harness.h"
#include "tools/command.h"
#include "tools/eval_print.h"
#include "tools/eval_samples.h"
#include "tools/eval_task.h"

namespace crossover::tools {
namespace {

struct EvalFlags : EvalTaskFlags {
  std::vector<std::string> models;
  std::string samples;
  size_t max_new_tokens = 64;
  bool csv = false;
};

// Evaluates tasks on one model.
class ModelEvaluation {
 public:
  ModelEvaluation(const std::string& path, const EvalFlags& flags, const GlobalOptions& globals,
                  OutputFile* samples)
      : path_(path),
        name_(std::filesystem::path(path).filename().string()),
        flags_(flags),
        quiet_(globals.quiet),
        samples_(samples),
        model_(engine::Model::Load(path, globals.model_options())),
        tokenizer_(engine::LoadTokenizer(model_->file())),
        engine_(model_,
                evals::EvaluationEngineOptions(globals.engine_options(), model_->config())) {}

  std::vector<evals::MetricResult> Evaluate(const evals::Task& task) {
    std::optional<Progress> bar;
    evals::TaskOptions options;
    options.limit = flags_.limit;
    options.fewshot = flags_.fewshot;
    options.max_new_tokens = flags_.max_new_tokens;
    options.whole_answers = samples_ != nullptr;
    options.progress = Show(bar, task.name);
    const evals::TaskResult result = evals::EvaluateTask(engine_, *tokenizer_, task, options);
    bar.reset();
    WarnOfCuts(task.name, result.truncated);
    for (size_t i = 0; samples_ != nullptr && i < result.items.size(); ++i) {
      samples_->Write(SampleLine(path_, task, i, result.items[i]));
    }
    return result.metrics;
  }

  std::vector<evals::MetricResult> Evaluate(const HarnessTask& task) {
    std::vector<evals::QuestionSetResult> results;
    for (const evals::QuestionSet& set : task.sets) {
      std::optional<Progress> bar;
      results.push_back(
          evals::EvaluateQuestions(engine_, *tokenizer_, task.file, set, Show(bar, set.name)));
      bar.reset();
      WarnOfCuts(set.name, results.back().truncated);
      const auto& outcomes = results.back().outcomes;
      for (size_t i = 0; samples_ != nullptr && i < outcomes.size(); ++i) {
        samples_->Write(SampleLine(path_, task.file, set, i, outcomes[i]));
      }
    }
    return evals::SummariseQuestions(task.file, results);
  }

 private:
  evals::TaskProgress Show(std::optional<Progress>& bar, const std::string& task) const {
    return [this, &bar, task](size_t done, size_t total) {
      if (!bar) bar.emplace(fmt::format("{} {}", name_, task), total, !quiet_);
      bar->Update(done);
    };
  }
  void WarnOfCuts(const std::string& task, size_t truncated) const {
    if (truncated == 0) return;
    fmt::print(stderr,
               "crossover: {} {}: the beginning of {} items was cut to fit the model's context\n",
               name_, task, truncated);
  }

  const std::string& path_;
  std::string name_;
  const EvalFlags& flags_;
  bool quiet_;
  OutputFile* samples_;  // may be null
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  engine::Engine engine_;
};

void Run(const EvalFlags& flags, const GlobalOptions& globals) {
  const std::vector<EvalTask> tasks = LoadEvalTasks(flags);
  std::optional<OutputFile> samples;
  if (!flags.samples.empty()) samples.emplace(flags.samples);
  std::vector<EvalRow> rows;
  for (const std::string& path : flags.models) {
    ModelEvaluation evaluation(path, flags, globals, samples ? &*samples : nullptr);
    for (const EvalTask& task : tasks) {
      const auto metrics = std::visit([&](const auto& t) { return evaluation.Evaluate(t); }, task);
      for (const evals::MetricResult& metric : metrics) rows.push_back({path, metric});
    }
  }
  if (samples) samples->Commit();
  if (globals.json) {
    PrintEvalJson(rows);
  } else if (flags.csv) {
    PrintEvalCsv(rows);
  } else {
    PrintEvalTable(rows);
  }
}

}  // namespace

void AddEval(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = app.add_subcommand("eval", "Accuracy on tasks");
  command->add_option("models", flags->models, "GGUF files")->required();
  command
      ->add_option("--tasks", flags->tasks,
                   "Shipped tasks, DATA/NAME.jsonl by NAME, or task files (*.json); default: all "
                   "of DATA")
      ->delimiter(',')
      ->type_name("A,B");
  command->add_option(
      "--data", flags->data,
      "Directory of data sets or NAME.jsonl (default: the reference family's tasks)");
  command->add_option("--limit", flags->limit, "At most so many items a task (default: all)")
      ->check(CLI::Range(size_t{1}, size_t{1} << 40))
      ->type_name("N");
  command->add_option("--fewshot", flags->fewshot, "Answered items before each item")
      ->check(CLI::Range(size_t{0}, size_t{1000}))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--max-new-tokens", flags->max_new_tokens,
                   "Tokens generated for an answer at most, raised where the answer is longer")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--log-samples", flags->samples, "Write every item's outcome as JSON lines");
  command->add_flag("--csv", flags->csv, "Print CSV instead of a table");
  SetExamples(*command,
              "  crossover eval model.gguf --tasks facts,sums --limit 100\n"
              "  crossover eval model.gguf --tasks arc_easy,hellaswag --data evals\n"
              "  crossover eval model.gguf --tasks mmlu --fewshot 5 --data evals --json\n"
              "  crossover eval model.gguf --tasks my-task.json --log-samples samples.jsonl\n"
              "  crossover eval a.gguf b.gguf --tasks mine --data my-tasks --json\n"
              "  crossover eval model.gguf --tasks sums --log-samples samples.jsonl");
  command->callback([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools

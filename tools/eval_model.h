// Tasks evaluated on one model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "base/progress.h"
#include "engine/engine.h"
#include "evals/harness.h"
#include "tools/command.h"
#include "tools/eval_task.h"

namespace crossover::tools {

/// What serves all models of a call; pointers may be null.
struct EvalRun {
  bool quiet = false;
  size_t max_new_tokens = 64;  // of plain items
  OutputFile* samples = nullptr;
  evals::AnswerJournal* journal = nullptr;
  const evals::ProgramRunner* program_runner = nullptr;
};

/// A task in lm-evaluation-harness's manner, answered.
struct HarnessResult {
  std::vector<evals::QuestionSetResult> sets;
  std::vector<evals::MetricResult> metrics;
};

class ModelEvaluation {
 public:
  /// Loads the model; the engine has room for what `tasks` ask.
  ModelEvaluation(const std::string& path, const std::vector<EvalTask>& tasks, const EvalRun& run,
                  const GlobalOptions& globals);

  std::vector<evals::MetricResult> Evaluate(const PlainTask& task);
  HarnessResult Evaluate(const HarnessTask& task);

 private:
  evals::TaskProgress Show(std::optional<Progress>& bar, const std::string& task) const;
  void Say(const std::string& task, size_t items, const char* what) const;

  const std::string& path_;
  std::string name_;
  const EvalRun& run_;
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  engine::Engine engine_;
};

}  // namespace crossover::tools

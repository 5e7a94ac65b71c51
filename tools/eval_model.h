// Tasks evaluated on one model.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "base/progress.h"
#include "engine/run/engine.h"
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
  ModelEvaluation(const std::string& path, const EvalRun& run, const GlobalOptions& globals);

  /// What makes a prompt of messages, by the model's own chat template. Error(kInvalidArgument) if
  /// it has none.
  std::function<std::string(std::span<const tokenizer::ChatMessage>)> Chat() const;
  const std::string& chat_template() const { return tokenizer_->vocabulary().chat_template; }

  /// Makes an engine with room for what `tasks` ask. `is_chat`: their prompts are Chat's.
  void Prepare(const std::vector<EvalTask>& tasks, bool is_chat);

  std::vector<evals::MetricResult> Evaluate(const PlainTask& task);
  HarnessResult Evaluate(const HarnessTask& task);

 private:
  evals::TaskProgress Show(std::optional<Progress>& bar, const std::string& task) const;
  /// Error(kIo) if the model's files were changed since they were opened and answers are kept.
  void CheckUnchanged() const;
  /// On stderr, if there are such items: "2 items were answered …".
  void Say(const std::string& task, size_t items, const char* one, const char* many,
           const char* what) const;

  const std::string& path_;
  std::string name_;
  const EvalRun& run_;
  std::string stamp_;     // of the model's files before they were opened
  std::string identity_;  // where a journal asks for it
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  const GlobalOptions& globals_;
  std::unique_ptr<engine::Engine> engine_;
  bool is_chat_ = false;
};

}  // namespace crossover::tools

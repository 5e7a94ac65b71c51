#include "tools/eval_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/content_identity.h"
#include "base/counted.h"
#include "base/data_path.h"
#include "base/error.h"
#include "base/visible_text.h"
#include "bench/machine/system.h"
#include "engine/files/model_files.h"
#include "engine/run/chat.h"
#include "evals/answer_journal.h"
#include "evals/capacity.h"
#include "evals/evaluate.h"
#include "kernels/isa.h"
#include "tools/eval_samples.h"
#include "tools/model_warnings.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

// All that an answer's bits hang on besides the question. The number of threads does not count.
std::string RunIdentity(const std::string& model, const GlobalOptions& globals, size_t context) {
  return fmt::format("{}\n{}\n{} {} {} {} {} {}", model, ContentIdentity(RunningProgram()),
                     kernels::SelectedIsa(), globals.activations, globals.kv_type, globals.weights,
                     globals.deterministic, context);
}

// Tokens of the longest sequence that the tasks make, as far as the model's context goes.
size_t ContextFor(const std::vector<EvalTask>& tasks, const tokenizer::Tokenizer& tokenizer,
                  const engine::ModelConfig& model, bool is_chat) {
  size_t longest = evals::kDefaultContext;
  for (const EvalTask& task : tasks) {
    const auto* harness = std::get_if<HarnessTask>(&task);
    if (harness == nullptr) continue;
    for (const evals::QuestionSet& set : harness->sets) {
      longest = std::max(longest, evals::LongestRequest(tokenizer, harness->file, set, is_chat));
    }
  }
  return std::max(evals::kDefaultContext, std::min(longest, model.context));
}

}  // namespace

ModelEvaluation::ModelEvaluation(const std::string& path, const EvalRun& run,
                                 const GlobalOptions& globals)
    : path_(path),
      name_(std::filesystem::path(path).filename().string()),
      run_(run),
      stamp_(run.journal != nullptr ? FileStamp(engine::ModelFiles(path)) : ""),
      identity_(run.journal != nullptr ? engine::ModelIdentity(path) : ""),
      model_(engine::Model::Load(path, globals.model_options())),
      tokenizer_(engine::LoadTokenizer(model_->file())),
      globals_(globals) {
  TellWarnings(path, *model_);
  TellWarnings(path, *tokenizer_);
  WarnOfSettings(*model_, globals_);
  CheckUnchanged();
}

void ModelEvaluation::CheckUnchanged() const {
  if (run_.journal == nullptr || FileStamp(engine::ModelFiles(path_)) == stamp_) return;
  if (engine::ModelIdentity(path_) == identity_) return;  // touched, but the same
  throw Error(ErrorCode::kIo,
              fmt::format("{} was changed while it was being asked; answers that were kept since "
                          "may be of either: start again with another file for --resume",
                          path_));
}

std::function<std::string(std::span<const tokenizer::ChatMessage>)> ModelEvaluation::Chat() const {
  if (chat_template().empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: the model has no chat template; leave out --chat-template", path_));
  }
  const auto parsed = std::make_shared<const tokenizer::ChatTemplate>(chat_template());
  // Looked for once for each form of a conversation, and told once.
  const auto forms = std::make_shared<std::set<std::string>>();
  const auto told = std::make_shared<bool>(false);
  return [this, parsed, forms, told](std::span<const tokenizer::ChatMessage> messages) {
    std::string form;
    for (const tokenizer::ChatMessage& message : messages) form += message.role + '\n';
    if (!*told && forms->insert(form).second) {
      const std::string lost = engine::LostByTemplate(*parsed, *tokenizer_, messages);
      *told = !lost.empty();
      if (*told) Warn(fmt::format("{}: {}", name_, lost));
    }
    return engine::RenderChat(*parsed, *tokenizer_, messages);
  };
}

void ModelEvaluation::Prepare(const std::vector<EvalTask>& tasks, bool is_chat) {
  is_chat_ = is_chat;
  const size_t context = ContextFor(tasks, *tokenizer_, model_->config(), is_chat);
  engine_ = std::make_unique<engine::Engine>(
      model_, evals::EvaluationEngineOptions(globals_.engine_options(), model_->config(), context));
  if (run_.journal != nullptr) run_.journal->SetRun(RunIdentity(identity_, globals_, context));
}

std::vector<evals::MetricResult> ModelEvaluation::Evaluate(const PlainTask& task) {
  std::optional<Progress> bar;
  evals::TaskOptions options;
  options.limit = task.limit;
  options.fewshot = task.fewshot;
  options.max_new_tokens = run_.max_new_tokens;
  options.whole_answers = run_.samples != nullptr;
  options.progress = Show(bar, task.task.name);
  options.journal = run_.journal;
  const evals::TaskResult result = evals::EvaluateTask(*engine_, *tokenizer_, task.task, options);
  bar.reset();
  CheckUnchanged();
  Say(task.task.name, result.truncated, "lost its", "lost their",
      "beginning: the model's context is too short");
  for (size_t i = 0; run_.samples != nullptr && i < result.items.size(); ++i) {
    run_.samples->Write(SampleLine(path_, task.task, i, result.items[i]));
  }
  return result.metrics;
}

HarnessResult ModelEvaluation::Evaluate(const HarnessTask& task) {
  HarnessResult result;
  for (const evals::QuestionSet& set : task.sets) {
    std::optional<Progress> bar;
    evals::QuestionOptions options;
    options.score.progress = Show(bar, set.name);
    options.score.parse_special = is_chat_;
    options.journal = run_.journal;
    options.program_runner = run_.program_runner;
    result.sets.push_back(evals::EvaluateQuestions(*engine_, *tokenizer_, task.file, set, options));
    const evals::QuestionSetResult& answered = result.sets.back();
    bar.reset();
    CheckUnchanged();
    Say(set.name, answered.resumed, "was", "were", "answered by an earlier run");
    Say(set.name, answered.truncated, "lost its", "lost their",
        "beginning: the model's context is too short");
    Say(set.name, answered.shortened, "had", "had",
        "room for fewer new tokens than the task allows: the model's context is too short");
    for (size_t i = 0; run_.samples != nullptr && i < answered.outcomes.size(); ++i) {
      run_.samples->Write(SampleLines(path_, task.file, set, i, answered.outcomes[i]));
    }
  }
  result.metrics = evals::SummariseQuestions(task.file, result.sets);
  return result;
}

evals::TaskProgress ModelEvaluation::Show(std::optional<Progress>& bar,
                                          const std::string& task) const {
  return [this, &bar, task](size_t done, size_t total) {
    if (!bar) bar.emplace(fmt::format("{} {}", name_, task), total, !run_.quiet);
    bar->Update(done);
  };
}

void ModelEvaluation::Say(const std::string& task, size_t items, const char* one, const char* many,
                          const char* what) const {
  if (items == 0) return;
  fmt::print(stderr, "crossover: {} {}: {} {} {}\n", VisibleText(name_), VisibleText(task),
             Counted(items, "item"), items == 1 ? one : many, what);
}

}  // namespace crossover::tools

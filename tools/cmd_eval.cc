// crossover eval: accuracy of models on tasks.
#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "evals/answer_journal.h"
#include "evals/program.h"
#include "kernels/isa.h"
#include "tools/eval_compare.h"
#include "tools/eval_flags.h"
#include "tools/eval_harness_json.h"
#include "tools/eval_llama.h"
#include "tools/eval_model.h"
#include "tools/eval_print.h"
#include "tools/eval_task.h"

namespace crossover::tools {
namespace {

HarnessReport Report(const std::string& model, const EvalFlags& flags,
                     const GlobalOptions& globals) {
  HarnessReport report;
  report.model = model;
  report.settings = fmt::format("activations={},kv_type={},weights={},isa={}", globals.activations,
                                globals.kv_type, globals.weights, kernels::SelectedIsa());
  report.system = flags.system;
  report.multiturn = flags.multiturn;
  report.limit = flags.limit;
  report.start = std::chrono::system_clock::now();
  return report;
}

void PrintRows(const EvalFlags& flags, const GlobalOptions& globals,
               const std::vector<EvalRow>& rows) {
  if (flags.compare) {
    PrintEvalComparison(rows, globals.json ? EvalOutput::kJson
                              : flags.csv  ? EvalOutput::kCsv
                                           : EvalOutput::kTable);
  } else if (globals.json) {
    PrintEvalJson(rows);
  } else if (flags.csv) {
    PrintEvalCsv(rows);
  } else {
    PrintEvalTable(rows);
  }
}

void Run(const EvalFlags& flags, const Subcommand& command, const GlobalOptions& globals) {
  EvalFlags rest = flags;
  const std::vector<evals::LlamaTask> llama_tasks = TakeLlamaTasks(rest);
  if (!llama_tasks.empty() && (flags.chat || !flags.system.empty() || flags.fewshot)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: is asked as llama-perplexity asks it, without --chat-template, "
                            "--system or --fewshot; evaluate it in a run of its own",
                            llama_tasks[0].name));
  }
  std::vector<EvalTask> tasks;
  // With a chat template they are loaded again for each model; what is off is said now.
  if (llama_tasks.empty() || !rest.tasks.empty()) {
    tasks = LoadEvalTasks(rest, {.system = flags.system});
  }
  WarnOfCounts(tasks);
  WarnOfIdleEvalFlags(command, tasks, llama_tasks);
  std::optional<evals::ProgramRunner> runner;
  if (flags.run_programs) runner.emplace();
  std::optional<evals::AnswerJournal> journal;
  if (!flags.resume.empty()) journal.emplace(flags.resume);
  // Opened now: that an output cannot be written should not show after a night's work.
  std::optional<OutputFile> samples;
  if (!flags.samples.empty()) samples.emplace(flags.samples);
  std::optional<OutputFile> harness_json;
  if (!flags.harness_json.empty()) harness_json.emplace(flags.harness_json);
  EvalRun run;
  run.quiet = globals.quiet;
  run.max_new_tokens = flags.max_new_tokens;
  run.samples = samples ? &*samples : nullptr;
  run.journal = journal ? &*journal : nullptr;
  run.program_runner = runner ? &*runner : nullptr;
  std::vector<EvalRow> rows;
  for (const std::string& path : flags.models) {
    ModelEvaluation evaluation(path, run, globals);
    HarnessReport report = Report(path, flags, globals);
    report.tasks = tasks;
    if (flags.chat && !tasks.empty()) {
      report.chat_template = evaluation.chat_template();
      report.tasks = LoadEvalTasks(
          rest, {.system = flags.system, .chat = evaluation.Chat(), .multiturn = flags.multiturn});
    }
    if (!tasks.empty()) evaluation.Prepare(report.tasks, flags.chat);
    for (const EvalTask& task : report.tasks) {
      if (const auto* plain = std::get_if<PlainTask>(&task)) {
        report.metrics.push_back(evaluation.Evaluate(*plain));
      } else {
        report.metrics.push_back(evaluation.Evaluate(std::get<HarnessTask>(task)).metrics);
      }
      for (const evals::MetricResult& metric : report.metrics.back())
        rows.push_back({path, metric});
    }
    if (harness_json) harness_json->Write(HarnessJson(report));
    if (llama_tasks.empty()) continue;
    for (const auto& metric : EvaluateLlamaTasks(path, llama_tasks, globals)) {
      rows.push_back({path, metric});
    }
  }
  // Whichever of the three fails, the others are done.
  std::exception_ptr failed;
  const auto attempt = [&](const auto& act) {
    try {
      act();
    } catch (...) {
      if (!failed) failed = std::current_exception();
    }
  };
  if (samples) attempt([&] { samples->Commit(); });
  if (harness_json) attempt([&] { harness_json->Commit(); });
  attempt([&] { PrintRows(flags, globals, rows); });
  if (failed) std::rethrow_exception(failed);
}

}  // namespace

void AddEval(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<EvalFlags>();
  const Subcommand command(app, "eval", "Accuracy on tasks");
  AddModels(command, flags->models, "GGUF files").Required();
  command
      .Add("--tasks", flags->tasks,
           "Shipped tasks, DATA/NAME.jsonl by NAME, or paths of items (*.jsonl) and task "
           "files (*.json); default: all of DATA")
      .SplitAt(',')
      .Type("A,B");
  command.Add("--data", flags->data,
              "Directory of data sets or NAME.jsonl (default: the reference family's tasks)");
  command.Add("--limit", flags->limit, "At most so many items a task (default: all)")
      .Range(1, int64_t{1} << 40)
      .Type("N");
  command
      .Add("--fewshot", flags->fewshot,
           "Answered items before each item (default: as many as the task says)")
      .Range(0, 1000)
      .Type("N");
  command
      .Add("--max-new-tokens", flags->max_new_tokens,
           "Tokens generated for an answer at most, raised where the answer is longer")
      .Range(1, 1 << 20)
      .Type("N")
      .ShowDefault();
  command.Add("--log-samples", flags->samples, "Write every item's outcome as JSON lines");
  command
      .Add("--resume", flags->resume,
           "Keep answers in FILE as they come, and take from it those that an earlier, "
           "interrupted run kept")
      .Type("FILE");
  command
      .Add("--harness-json", flags->harness_json,
           "Write the results as lm-evaluation-harness does (one model)")
      .Type("FILE");
  const Flag chat = command.Switch("--chat-template", flags->chat,
                                   "Put prompts into the model's own chat template");
  command
      .Switch("--fewshot-as-multiturn", flags->multiturn,
              "With --chat-template: examples as turns of user and assistant")
      .Needs(chat);
  command.Add("--system", flags->system, "A text before every prompt: the system's message")
      .Type("TEXT");
  command.Switch("--run-generated-programs", flags->run_programs,
                 "Run the programs that the model writes (humaneval), shut in and limited; "
                 "without it their metrics are n/a");
  command.Switch("--compare", flags->compare,
                 "Compare each further model with the first, item by item: difference with its "
                 "paired error, McNemar's test");
  command.Switch("--csv", flags->csv, "Print CSV instead of a table");
  command.Examples(
      "  crossover eval model.gguf --tasks facts,sums --limit 100\n"
      "  crossover eval model.gguf --tasks arc_easy,hellaswag --data evals\n"
      "  crossover eval model.gguf --tasks mmlu --fewshot 5 --data evals --json\n"
      "  crossover eval model.gguf --tasks my-task.json --log-samples samples.jsonl\n"
      "  crossover eval f16.gguf q4.gguf --tasks hellaswag --data evals --compare\n"
      "  crossover eval model.gguf --tasks llama_hellaswag --data evals --limit 400\n"
      "  crossover eval a.gguf b.gguf --tasks mine --data my-tasks --json\n"
      "  crossover eval model.gguf --tasks gsm8k,wikitext --data evals --resume run.jsonl\n"
      "  crossover eval model.gguf --tasks humaneval --data evals --run-generated-programs\n"
      "  crossover eval model.gguf --tasks mmlu --fewshot 5 --data evals --chat-template "
      "--harness-json results.json");
  command.Run([flags, command, &globals] {
    CheckEvalFlags(*flags, globals);
    Run(*flags, command, globals);
  });
}

}  // namespace crossover::tools

// crossover eval: accuracy of models on tasks.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "evals/answer_journal.h"
#include "evals/program.h"
#include "tools/command.h"
#include "tools/eval_model.h"
#include "tools/eval_print.h"
#include "tools/eval_task.h"

namespace crossover::tools {
namespace {

struct EvalFlags : EvalTaskFlags {
  std::vector<std::string> models;
  std::string samples;
  std::string resume;
  bool run_programs = false;
  size_t max_new_tokens = 64;
  bool csv = false;
};

void Run(const EvalFlags& flags, const GlobalOptions& globals) {
  const std::vector<EvalTask> tasks = LoadEvalTasks(flags);
  std::optional<evals::ProgramRunner> runner;
  if (flags.run_programs) runner.emplace();
  std::optional<evals::AnswerJournal> journal;
  if (!flags.resume.empty()) journal.emplace(flags.resume);
  std::optional<OutputFile> samples;
  if (!flags.samples.empty()) samples.emplace(flags.samples);
  EvalRun run;
  run.quiet = globals.quiet;
  run.max_new_tokens = flags.max_new_tokens;
  run.samples = samples ? &*samples : nullptr;
  run.journal = journal ? &*journal : nullptr;
  run.program_runner = runner ? &*runner : nullptr;
  std::vector<EvalRow> rows;
  const auto add = [&](const std::string& path, const std::vector<evals::MetricResult>& metrics) {
    for (const evals::MetricResult& metric : metrics) rows.push_back({path, metric});
  };
  for (const std::string& path : flags.models) {
    ModelEvaluation evaluation(path, tasks, run, globals);
    for (const EvalTask& task : tasks) {
      if (const auto* plain = std::get_if<PlainTask>(&task)) {
        add(path, evaluation.Evaluate(*plain));
      } else {
        add(path, evaluation.Evaluate(std::get<HarnessTask>(task)).metrics);
      }
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
  command
      ->add_option("--fewshot", flags->fewshot,
                   "Answered items before each item (default: as many as the task says)")
      ->check(CLI::Range(size_t{0}, size_t{1000}))
      ->type_name("N");
  command
      ->add_option("--max-new-tokens", flags->max_new_tokens,
                   "Tokens generated for an answer at most, raised where the answer is longer")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--log-samples", flags->samples, "Write every item's outcome as JSON lines");
  command
      ->add_option("--resume", flags->resume,
                   "Keep answers in FILE as they come, and take from it those that an earlier, "
                   "interrupted run kept")
      ->type_name("FILE");
  command->add_flag("--run-generated-programs", flags->run_programs,
                    "Run the programs that the model writes (humaneval), shut in and limited; "
                    "without it their metrics are n/a");
  command->add_flag("--csv", flags->csv, "Print CSV instead of a table");
  SetExamples(
      *command,
      "  crossover eval model.gguf --tasks facts,sums --limit 100\n"
      "  crossover eval model.gguf --tasks arc_easy,hellaswag --data evals\n"
      "  crossover eval model.gguf --tasks mmlu --fewshot 5 --data evals --json\n"
      "  crossover eval model.gguf --tasks my-task.json --log-samples samples.jsonl\n"
      "  crossover eval a.gguf b.gguf --tasks mine --data my-tasks --json\n"
      "  crossover eval model.gguf --tasks gsm8k,wikitext --data evals --resume run.jsonl\n"
      "  crossover eval model.gguf --tasks humaneval --data evals --run-generated-programs");
  command->callback([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools

// crossover study: models × recipes × metrics, resumable.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/counted.h"
#include "base/data_path.h"
#include "base/error.h"
#include "base/json.h"
#include "base/table.h"
#include "bench/machine/system.h"
#include "bench/study/cell.h"
#include "bench/study/ranks.h"
#include "bench/study/study.h"
#include "tools/command.h"
#include "tools/model_warnings.h"
#include "tools/version.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

struct StudyFlags {
  std::string plan;
  std::string directory;
  std::vector<std::string> models;
  bool list = false;
};

void List(bool as_json) {
  nlohmann::json json = nlohmann::json::array();
  Table table(
      {{"plan", Table::Align::kLeft}, {"cells"}, {"what it measures", Table::Align::kLeft}});
  for (const bench::ReadyPlan& plan : bench::ReadyPlans()) {
    table.AddRow({plan.name, std::to_string(plan.cells), plan.about});
    json.push_back({{"plan", plan.name}, {"cells", plan.cells}, {"about", plan.about}});
  }
  fmt::print("{}", as_json ? DumpJson(json, 2) + "\n" : table.Text());
}

void Print(const bench::StudySummary& summary, const bench::Ranks& ranks,
           const std::string& results, bool as_json) {
  if (as_json) {
    const nlohmann::json json{{"cells", summary.cells},
                              {"measured", summary.measured},
                              {"skipped", summary.skipped},
                              {"failed", summary.failed},
                              {"others", summary.others},
                              {"rank", ranks.rank},
                              {"disturbed", summary.disturbed},
                              {"ranks", ranks.size},
                              {"results", results}};
    fmt::print("{}\n", DumpJson(json, 2));
    return;
  }
  const std::string others = ranks.alone()
                                 ? ""
                                 : fmt::format(", {} by other ranks (this is {} of {})",
                                               summary.others, ranks.rank + 1, ranks.size);
  const std::string disturbed =
      summary.disturbed == 0
          ? ""
          : fmt::format(" ({} disturbed by what else ran, see the report)", summary.disturbed);
  fmt::print("{}: {}: {} measured now{}, {} were there already, {} failed{}\n", results,
             Counted(summary.cells, "cell"), summary.measured, disturbed, summary.skipped,
             summary.failed, others);
}

/// The longest sequence that a plan's metrics make, not counting tasks, which fit theirs to the
/// model.
size_t LongestSequence(const bench::Metrics& metrics) {
  size_t longest = 0;
  if (metrics.perplexity) longest = metrics.perplexity->context;
  if (metrics.speed) longest = std::max({longest, metrics.speed->prefill, metrics.speed->decode});
  if (metrics.crossover) {
    for (const size_t tokens : metrics.crossover->tokens) longest = std::max(longest, tokens);
  }
  return longest;
}

/// Once for all cells: what they cannot measure well, as far as it can be known before.
void WarnOfPlan(const bench::Plan& plan) {
  if (!plan.threads.empty()) WarnOfThreads(*std::ranges::max_element(plan.threads));
  const size_t longest = LongestSequence(plan.metrics);
  for (const bench::PlanModel& model : plan.models) {
    if (!std::filesystem::is_regular_file(model.path)) continue;
    WarnBeyondContext(model.path, longest);
    TellWarnings(model.path);
  }
}

void Run(const StudyFlags& flags, const GlobalOptions& globals) {
  if (flags.list) return List(globals.json);
  bench::Plan plan = bench::LoadPlan(flags.plan);
  bench::AddModelFiles(flags.models, plan);
  WarnOfPlan(plan);
  bench::CreateStudyFolder(flags.directory);
  const bench::StudyOptions options{.directory = flags.directory,
                                    .settings = globals.settings(),
                                    .executable = RunningProgram(),
                                    .version = CROSSOVER_VERSION,
                                    .ranks = bench::JoinRanks(flags.directory),
                                    .quiet = globals.quiet};
  const bench::StudySummary summary = bench::RunStudy(plan, options);
  const std::string results = bench::ResultsPath(flags.directory).string();
  Print(summary, options.ranks, results, globals.json);
  if (summary.failed == 0) return;
  throw Error(ErrorCode::kIo, fmt::format("{} of {} failed; {} says why; the same call tries again",
                                          summary.failed, Counted(summary.cells, "cell"), results));
}

/// A step of a cell; for `study` to call, not for people.
void AddStudyCell(CLI::App& app) {
  auto argument = std::make_shared<std::string>();
  const Subcommand command(app, bench::kCellCommand, "");
  command.Hide();
  command.Add("step", *argument, "").Required();
  command.Run([argument] {
    // What a model's metadata says may be no UTF-8.
    fmt::print("{}\n", DumpJson(bench::RunCellStep(*argument)));
  });
}

}  // namespace

void AddStudy(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<StudyFlags>();
  const Subcommand command(app, "study",
                           "Measure models × recipes cell by cell; resumes where it stopped");
  const Flag plan =
      command.Add("plan", flags->plan, "A plan file (JSON), or a ready plan that --list names")
          .Type("PLAN");
  command.Add("--out", flags->directory, "Folder for results.jsonl").Type("DIR");
  command
      .Add("--model", flags->models,
           "Real weights for the plan's model NAME, so that its quality is measured too; "
           "without NAME= one model more")
      .Type("[NAME=]FILE");
  command.Switch("--list", flags->list, "Show the ready plans").Excludes(plan);
  command.Examples(
      "  crossover study --list\n"
      "  crossover study demo --out out/demo\n"
      "  crossover study paper --out out/paper --model qwen2.5-0.5b=qwen-f16.gguf\n"
      "  crossover study my-plan.json --out out/mine --threads 4\n"
      "  mpirun --enable-recovery --map-by ppr:1:node --bind-to none \\\n"
      "    crossover study paper --out /shared/paper\n"
      "  crossover report out/demo");
  command.Run([flags, &globals] {
    if (!flags->list && (flags->plan.empty() || flags->directory.empty())) {
      throw UsageError("study: PLAN --out DIR, or --list is required");
    }
    Run(*flags, globals);
  });
  AddStudyCell(app);
}

}  // namespace crossover::tools

// crossover study: models × recipes × metrics, resumable.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "bench/cell.h"
#include "bench/study.h"
#include "bench/system.h"
#include "tools/command.h"

namespace crossover::tools {
namespace {

struct StudyFlags {
  std::string plan;
  std::string directory;
};

void Run(const StudyFlags& flags, const GlobalOptions& globals) {
  const bench::Plan plan = bench::LoadPlan(flags.plan);
  bench::StudyOptions options;
  options.directory = flags.directory;
  options.settings = globals.settings();
  options.executable = bench::ExecutablePath();
  options.version = CROSSOVER_VERSION;
  options.quiet = globals.quiet;
  const bench::StudySummary summary = bench::RunStudy(plan, options);
  const std::string results = bench::ResultsPath(flags.directory).string();
  if (globals.json) {
    const nlohmann::json json{{"cells", summary.cells},
                              {"measured", summary.measured},
                              {"skipped", summary.skipped},
                              {"failed", summary.failed},
                              {"results", results}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}: {} cells: {} measured now, {} were there already, {} failed\n", results,
               summary.cells, summary.measured, summary.skipped, summary.failed);
  }
  if (summary.failed == 0) return;
  throw Error(ErrorCode::kIo,
              fmt::format("{} of {} cells failed; {} says why; the same call tries them again",
                          summary.failed, summary.cells, results));
}

/// A step of a cell; for `study` to call, not for people.
void AddStudyCell(CLI::App& app) {
  auto argument = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(bench::kCellCommand)->group("");
  command->add_option("step", *argument)->required();
  command->callback([argument] {
    // What a model's metadata says may be no UTF-8.
    fmt::print("{}\n", bench::RunCellStep(*argument).dump(
                           -1, ' ', false, nlohmann::json::error_handler_t::replace));
  });
}

}  // namespace

void AddStudy(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<StudyFlags>();
  CLI::App* command = app.add_subcommand(
      "study", "Measure models × recipes cell by cell; resumes where it stopped");
  command->add_option("plan", flags->plan, "A plan file (JSON), or a ready plan: demo")
      ->required()
      ->type_name("PLAN");
  command->add_option("--out", flags->directory, "Folder for results.jsonl")
      ->required()
      ->type_name("DIR");
  SetExamples(*command,
              "  crossover study demo --out out/demo\n"
              "  crossover study my-plan.json --out out/mine --threads 4\n"
              "  crossover report out/demo");
  command->callback([flags, &globals] { Run(*flags, globals); });
  AddStudyCell(app);
}

}  // namespace crossover::tools

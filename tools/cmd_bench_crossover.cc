// crossover bench crossover: where communication gives way to computation, measured.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/counted.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/say.h"
#include "bench/crossover/crossover_run.h"
#include "bench/machine/machine_info.h"
#include "bench/predict/time_model.h"
#include "tools/cmd_bench.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

struct BenchCrossoverFlags {
  std::vector<std::string> models;
  bench::CrossoverMetric metric;
  bool csv = false;
};

nlohmann::json Json(const std::vector<bench::CrossoverModel>& models) {
  nlohmann::json across = nlohmann::json::array();
  for (const bench::BoundAcross& bound : bench::BoundsAcross(models)) {
    across.push_back({{"fixed", bound.what},
                      {"variable", bound.variable},
                      {"tokens", bound.tokens},
                      {"change", bound.change ? nlohmann::json(*bound.change) : nullptr}});
  }
  const bench::MachineInfo machine = bench::ReadMachineInfo();
  const auto fits = bench::FitTimeModels(models);
  return {{"cpu", machine.cpu},
          {"memory_bytes", machine.memory_bytes},
          {"models", models},
          {"bounds_across", across},
          {"time_models", fits},
          {"time_model", fits.empty() ? nlohmann::json(nullptr) : nlohmann::json(fits.back())}};
}

void Run(BenchCrossoverFlags& flags, const GlobalOptions& globals) {
  std::vector<size_t>& tokens = flags.metric.tokens;
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  for (const std::string& model : flags.models) {
    WarnBeyondContext(model, flags.metric.tokens.back());
  }
  const size_t cells = flags.metric.tokens.size();
  std::vector<bench::CrossoverModel> models;
  {
    Progress progress("crossover", flags.models.size() * cells, !globals.quiet);
    for (const std::string& model : flags.models) {
      models.push_back(bench::MeasureCrossover(
          model, globals.settings(), flags.metric,
          [&](size_t done, size_t) { progress.Update(models.size() * cells + done); }));
    }
  }
  if (globals.json) {
    fmt::print("{}\n", DumpJson(Json(models), 2));
    return;
  }
  if (flags.csv) {
    Say("{}", bench::CrossoverCsv(models));
    return;
  }
  Say("{}\n(a) matrix products as they run, (b) with all weights in {}, (c) their bytes read "
      "without\narithmetic; comm.: (c) of the whole pass; overlap: ((b) + (c) - (a)) / the smaller;"
      "\nover: (a) - the larger. {}, kernels {}, weights {}; median of {} in turn.\n",
      bench::CrossoverTable(models), models.front().cache,
      Counted(globals.thread_count(), "thread"), models.front().isa, globals.settings().weights,
      Counted(flags.metric.repetitions, "repetition"));
  const auto fits = bench::FitTimeModels(models);
  if (fits.empty()) return;
  Say("\n{}rule: the longer (max) or the sum of reading and computing, what fits better; "
      "unpacking: "
      "operations a\nweight. Errors are of the whole pass, over all cells that the fit was made "
      "of.\n",
      bench::TimeModelText(fits));
}

}  // namespace

void AddBenchCrossover(CLI::App& bench, const GlobalOptions& globals) {
  auto flags = std::make_shared<BenchCrossoverFlags>();
  const Subcommand command(bench, "crossover",
                           "Where reading weights gives way to computing with them, measured");
  AddModels(command, flags->models, "GGUF files").Required();
  command.Add("--tokens", flags->metric.tokens, "Tokens in a pass")
      .SplitAt(',')
      .Range(1, 65536)
      .Type("N,N,...")
      .ShowDefault();
  command.Add("-r,--repetitions", flags->metric.repetitions, "Repetitions of each figure")
      .Range(1, 1000)
      .Type("N")
      .ShowDefault();
  command.Switch("--csv", flags->csv, "One line a model and number of tokens");
  command.Examples(
      "  crossover bench crossover model.gguf\n"
      "  crossover bench crossover model-q8.gguf model-q4.gguf model-q2.gguf --tokens 1,16\n"
      "  crossover bench crossover model.gguf --isa avx2 --json");
  command.Run([flags, &globals] {
    RefuseCsvWithJson(flags->csv, globals);
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools

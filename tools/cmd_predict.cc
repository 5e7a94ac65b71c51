// crossover predict: what a machine that is not here would do with a model.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/say.h"
#include "base/table.h"
#include "bench/predict/check.h"
#include "bench/predict/engine_predict.h"
#include "bench/predict/predict.h"
#include "bench/report/plot.h"
#include "bench/text.h"
#include "tools/checks.h"
#include "tools/command.h"

namespace crossover::tools {
namespace {

struct PredictFlags {
  std::vector<std::string> words;
  std::string machine;
  std::optional<double> bandwidth;  // GB/s
  std::optional<double> rate;       // GOP/s
  double fixed = 0;                 // µs
  std::optional<double> memory;     // GB
  bench::PredictTests tests;
  bool list = false;
  bool csv = false;
  bool check = false;
  std::string plot;    // with check
  std::string engine;  // empty: Crossover
  std::optional<size_t> cores;
};

const engine::SynthShape* FindShape(const std::string& word) {
  try {
    return &engine::FindSynthShape(word);
  } catch (const Error&) {
    return nullptr;
  }
}

const quant::Recipe* FindRecipe(const std::string& word) {
  try {
    return &quant::FindRecipe(word);
  } catch (const Error&) {
    return nullptr;
  }
}

/// Files as they are, and every shape in every recipe.
std::vector<bench::ModelWork> Models(const std::vector<std::string>& words) {
  std::vector<const engine::SynthShape*> shapes;
  std::vector<const quant::Recipe*> recipes;
  std::vector<bench::ModelWork> models;
  for (const std::string& word : words) {
    if (const auto* shape = FindShape(word)) {
      shapes.push_back(shape);
    } else if (const auto* recipe = FindRecipe(word)) {
      recipes.push_back(recipe);
    } else if (std::filesystem::exists(word)) {
      models.push_back(bench::WorkOfFile(word));
    } else {
      throw UsageError(
          fmt::format("'{}' is neither a shape (crossover synth --list), nor a recipe ({}), nor a "
                      "file",
                      word, quant::RecipeNames()));
    }
  }
  if (shapes.empty() != recipes.empty()) {
    throw UsageError(shapes.empty() ? "recipes without a shape; see synth --list"
                                    : "shapes without a recipe, such as Q4_K_M");
  }
  for (const auto* shape : shapes) {
    for (const auto* recipe : recipes) models.push_back(bench::WorkOfShape(*shape, *recipe));
  }
  if (models.empty()) throw UsageError("no SHAPE with a RECIPE, and no MODEL");
  return models;
}

bench::PredictMachine Machine(const PredictFlags& flags) {
  bench::PredictMachine machine;
  if (!flags.machine.empty()) {
    if (flags.bandwidth || flags.rate || flags.fixed > 0) {
      throw UsageError("--machine, or --bandwidth with --rate: not both");
    }
    machine = bench::LoadPredictMachine(flags.machine, flags.cores.value_or(0));
  } else {
    if (!flags.bandwidth || !flags.rate) {
      throw UsageError("--machine, or --bandwidth and --rate, must be given");
    }
    machine.name = "a machine";
    machine.source = "as given on the command line";
    machine.model.read_bytes_s = *flags.bandwidth * 1e9;
    machine.model.rates = {{"", *flags.rate * 1e9, 0}};
    machine.model.layer_s = flags.fixed * 1e-6;
    bench::TakeLimitsRanges(bench::RateKind::kMeasured, machine);
  }
  if (flags.memory) machine.memory_bytes = *flags.memory * 1e9;
  return machine;
}

void List(const GlobalOptions& globals) {
  nlohmann::json rows = nlohmann::json::array();
  Table table({{"machine", Table::Align::kLeft}, {"GB/s"}, {"GOP/s"}, {"memory GB"}});
  std::string sources;
  for (const bench::PredictMachine& machine : bench::NominalMachines()) {
    rows.push_back({{"machine", machine.name},
                    {"source", machine.source},
                    {"memory_bytes", machine.memory_bytes},
                    {"model", machine.model}});
    table.AddRow({machine.name, bench::Significant(machine.model.read_bytes_s / 1e9),
                  bench::Significant(machine.model.rates.front().operations_s / 1e9),
                  bench::Significant(machine.memory_bytes / 1e9)});
    sources += fmt::format("{}: {}\n", machine.name, machine.source);
  }
  if (globals.json) {
    fmt::print("{}\n", DumpJson(rows, 2));
  } else {
    Say("{}\n{}", table.Text(), sources);
  }
}

void Print(const nlohmann::json& json) { fmt::print("{}\n", DumpJson(json, 2)); }

void Check(const PredictFlags& flags, const GlobalOptions& globals) {
  const bench::SpeedCheck check = bench::CheckPublished(bench::LoadPublished());
  if (!flags.plot.empty()) {
    WriteFile(flags.plot, bench::DrawSvg(bench::CheckPlot(check), "check"));
  }
  if (globals.json) return Print(bench::CheckJson(check));
  Say("{}", flags.csv ? bench::CheckCsv(check) : bench::CheckTable(check));
}

void PredictEngine(const PredictFlags& flags, const GlobalOptions& globals) {
  if (flags.machine.empty()) throw UsageError("--engine needs --machine");
  const bench::Published published = bench::LoadPublished();
  bench::EngineQuestion question{.engine = flags.engine,
                                 .machine = flags.machine,
                                 .threads = flags.cores,
                                 .depths = flags.tests.decode};
  if (flags.bandwidth) question.read_bytes_s = *flags.bandwidth * 1e9;
  const auto predictions = bench::PredictEngine(published, bench::CheckPublished(published),
                                                question, Models(flags.words));
  if (globals.json) return Print(bench::EngineJson(question, predictions));
  Say("{}", flags.csv ? bench::EngineCsv(question, predictions)
                      : bench::EngineTable(question, predictions));
}

void Run(const PredictFlags& flags, const GlobalOptions& globals) {
  if (flags.list) return List(globals);
  if (flags.check) return Check(flags, globals);
  if (!flags.engine.empty()) return PredictEngine(flags, globals);
  const bench::PredictMachine machine = Machine(flags);
  const auto predictions = bench::Predict(machine, Models(flags.words), flags.tests);
  if (globals.json) {
    fmt::print("{}\n", DumpJson(bench::PredictJson(machine, predictions), 2));
  } else {
    Say("{}", flags.csv ? bench::PredictCsv(machine, predictions)
                        : bench::PredictTable(machine, predictions));
  }
}

void AddFlags(const Subcommand& command, PredictFlags& flags) {
  const auto positive = NumberFrom(1e-6, 1e12);
  const Flag words =
      command.Add("words", flags.words, "Shapes and recipes (all pairs), and GGUF files")
          .Type("SHAPE... RECIPE... | MODEL...");
  command
      .Add("--machine", flags.machine,
           "What 'bench machine --json' or 'bench crossover --json' wrote, or a name that "
           "--list-machines shows")
      .Type("FILE|NAME");
  command.Add("--bandwidth", flags.bandwidth, "Reading memory, all threads, GB/s")
      .Check(positive)
      .Type("X");
  command.Add("--rate", flags.rate, "Multiplications and additions, all threads, GOP/s")
      .Check(positive)
      .Type("X");
  command.Add("--fixed", flags.fixed, "Microseconds a layer takes beside its products")
      .Check(NumberFrom(0, 1e9))
      .Type("X");
  command.Add("--memory", flags.memory, "GB; models that need more are refused")
      .Check(positive)
      .Type("X");
  command.Add("-p,--prefill", flags.tests.prefill, "Tokens of the prompt, in one pass")
      .SplitAt(',')
      .Range(1, 1 << 20)
      .Type("N,N,...")
      .ShowDefault();
  command.Add("-d,--depth", flags.tests.decode, "Tokens before the one that is decoded")
      .SplitAt(',')
      .Range(0, 1 << 24)
      .Type("N,N,...")
      .ShowDefault();
  command.Switch("--list-machines", flags.list, "Show the machines known by published figures")
      .Excludes(words);
  command.Switch("--csv", flags.csv, "One line a model and test");
  const Flag check =
      command
          .Switch("--check", flags.check,
                  "Hold predictions of other engines against 97 rows of published speeds, each "
                  "machine by a fit to the others")
          .Excludes(words);
  command.Add("--plot", flags.plot, "Draw predicted against published, as SVG")
      .Needs(check)
      .Type("FILE");
  command
      .Add("--engine", flags.engine,
           "Predict that engine (llama.cpp, ik_llama.cpp) instead of Crossover, on a "
           "--machine of the collection")
      .Type("NAME");
  command
      .Add("--cores", flags.cores,
           "Threads there (default: all its cores): with --engine, or a FILE of bench machine")
      .Range(1, 4096)
      .Type("N");
}

}  // namespace

void AddPredict(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<PredictFlags>();
  const Subcommand command(
      app, "predict", "Predict speed and bound on a machine that is not here, from few numbers");
  AddFlags(command, *flags);
  command.Examples(
      "  crossover predict --list-machines\n"
      "  crossover predict --machine raspberry-pi-5 qwen2.5-1.5b qwen2.5-7b Q4_K_M Q2_K\n"
      "  crossover predict --bandwidth 60 --rate 2000 --fixed 5 llama-3.1-8b Q8_0 -d 0,4096\n"
      "  crossover predict --check --plot check.svg\n"
      "  crossover predict --engine llama.cpp --machine m2-max qwen2.5-7b Q4_K_M IQ4_XS\n"
      "  crossover bench crossover model.gguf --json > here.json\n"
      "  crossover predict --machine here.json qwen2.5-14b Q4_K_M");
  command.Run([flags, &globals] {
    RefuseCsvWithJson(flags->csv, globals);
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools

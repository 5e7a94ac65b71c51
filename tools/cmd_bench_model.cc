// crossover bench model: prefill and decode, with the machine's limit beside each.
#include <fmt/format.h>
#include <fmt/ranges.h>

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
#include "base/progress.h"
#include "bench/child.h"
#include "bench/machine/system.h"
#include "bench/model/model.h"
#include "bench/model/shared_prefix.h"
#include "bench/study/cell.h"
#include "bench/study/record.h"
#include "tools/cmd_bench.h"
#include "tools/flags.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

struct BenchModelFlags {
  std::vector<std::string> models;
  bench::SpeedMetric speed;
  std::vector<size_t> prefills{512};
  std::vector<size_t> depths{0};
  bool details = false;
  size_t shared_prefix = 0;  // tokens; 0: not measured
};

void RunSharedPrefix(const BenchModelFlags& flags, const GlobalOptions& globals) {
  const bench::SharedPrefixMetric metric{.sequences = flags.speed.sequences,
                                         .prefix = flags.shared_prefix,
                                         .repetitions = flags.speed.repetitions};
  std::vector<bench::SharedPrefixResult> results;
  for (const std::string& model : flags.models) {
    results.push_back(bench::BenchSharedPrefix(model, globals.settings(), metric));
  }
  if (globals.json) {
    fmt::print("{}\n", DumpJson(bench::SharedPrefixJson(results), 2));
  } else {
    fmt::print("{}", bench::SharedPrefixTable(results));
  }
}

/// Several models share this process, so each one's peak size is taken in a process of its own, by
/// the same passes.
std::optional<uint64_t> PeakRss(const std::filesystem::path& model, const bench::Settings& settings,
                                bench::SpeedMetric speed) {
  speed.repetitions = 1;
  bench::Metrics metrics;
  metrics.speed = speed;
  const bench::MeasureStep step{.file = model, .settings = settings, .metrics = metrics};
  const auto child =
      bench::RunChild(RunningProgram(), {bench::kCellCommand, bench::CellArgument(step)});
  if (!child.ok()) throw Error(ErrorCode::kIo, model.string() + ": " + child.Failure());
  const auto result =
      ParseJson(child.output, {.name = "the measuring process"}).get<bench::Measurement>();
  return result.speed->peak_rss_bytes;
}

void PrintLimits(const bench::ModelBenchResult& result, const bench::Limits& limits) {
  std::string units;
  for (const auto& [unit, rate] : limits.peaks) {
    units += fmt::format("{}{} {:.0f}", units.empty() ? "" : ", ", unit, rate / 1e9);
  }
  const std::string& unit = result.prefill.limit_unit;
  fmt::print(
      "limit: measured before and after each repetition. Decode: bytes read per token at the rate "
      "of reads;\nprefill: operations at the rate of the unit that most weights go through{}. "
      "At the start:\n{} GB/s; of Gop/s: {}\n",
      unit.empty() ? "" : fmt::format(" ({})", unit),
      limits.read_bytes_s ? fmt::format("{:.1f}", *limits.read_bytes_s / 1e9) : "n/a",
      units.empty() ? "n/a" : units);
  if (!limits.disturbed.empty()) {
    fmt::print("Those at the start were disturbed: {}\n", limits.disturbed);
  }
}

/// What a sequence of the tests comes to at most.
size_t LongestSequence(const BenchModelFlags& flags) {
  if (flags.shared_prefix > 0) return flags.shared_prefix + bench::SharedPrefixMetric().own;
  return std::max(*std::ranges::max_element(flags.prefills),
                  flags.speed.decode + *std::ranges::max_element(flags.depths));
}

/// -p 0 leaves prompts out, -n 0 decoding. Words that only the one left out has a use for are off;
/// those that --shared-prefix has none for are told of.
void Check(BenchModelFlags& flags, const Subcommand& command) {
  std::erase(flags.prefills, size_t{0});
  if (flags.prefills.empty()) flags.prefills = {0};
  flags.speed.prefill = flags.prefills.front();
  if (flags.shared_prefix > 0) {
    const auto idle = command.Given({"-p", "-n", "-d", "--details"});
    if (!idle.empty())
      Warn(fmt::format("--shared-prefix has no use for {}", fmt::join(idle, ", ")));
    return;
  }
  if (flags.speed.decode > 0) return;
  if (flags.speed.prefill == 0) {
    throw UsageError("-p 0 and -n 0 leave nothing to measure");
  }
  if (const auto idle = command.Given({"-d", "--sequences"}); !idle.empty()) {
    throw UsageError(
        fmt::format("{} has no effect with -n 0; leave it out", fmt::join(idle, ", ")));
  }
}

void Run(BenchModelFlags& flags, const GlobalOptions& globals) {
  for (const std::string& model : flags.models) {
    WarnBeyondContext(model, LongestSequence(flags));
  }
  if (flags.shared_prefix > 0) return RunSharedPrefix(flags, globals);
  const std::vector<std::filesystem::path> paths(flags.models.begin(), flags.models.end());
  const bench::Settings settings = globals.settings();
  const bench::Limits limits = bench::MeasureLimits(settings.threads);
  Progress progress("bench", paths.size() * flags.speed.repetitions, !globals.quiet);
  auto results = bench::BenchModels(paths, settings, flags.speed, limits,
                                    [&](size_t done, size_t) { progress.Update(done); },
                                    {.prefills = flags.prefills,
                                     .depths = flags.depths,
                                     .cold_load = flags.details || globals.json,
                                     .limits_each_time = true});
  for (size_t i = 0; i < paths.size(); ++i) {
    results[i].peak_rss_bytes = PeakRss(paths[i], settings, flags.speed);
  }
  if (globals.json) {
    fmt::print("{}\n", DumpJson(bench::BenchJson(results), 2));
    return;
  }
  fmt::print(
      "{}\n{}, kernels {}, activations {}, KV {}, load {}, weights {}; median of {},\nof the "
      "undisturbed ones where there are enough (docs/method.md).\n",
      bench::BenchTable(results), Counted(settings.threads, "thread"), settings.isa,
      settings.activations, settings.kv_type, settings.load, settings.weights,
      Counted(flags.speed.repetitions, "repetition"));
  PrintLimits(results.front(), limits);
  if (flags.details) {
    const bench::Frequency clock = bench::ReadFrequency();
    fmt::print("\n{}clock: {} ({}); {} of warm-up.\n",
               bench::BenchDetails(results, settings.threads),
               clock.mhz > 0 ? fmt::format("{:.0f} MHz", clock.mhz) : "n/a", clock.source,
               Counted(results.front().warm_up_rounds, "round"));
  }
  if (!results.front().energy_reason.empty()) {
    fmt::print("J/token: {}\n", results.front().energy_reason);
  }
}

}  // namespace

void AddBenchModel(CLI::App& bench, const GlobalOptions& globals) {
  auto flags = std::make_shared<BenchModelFlags>();
  const Subcommand command(bench, "model",
                           "Prefill and decode speed, the machine's limit beside each");
  AddModels(command, flags->models, "GGUF files; measured in turn, round after round").Required();
  command.Add("-p,--prefill", flags->prefills, "Tokens of the prompt; several lengths; 0: none")
      .SplitAt(',')
      .Range(0, 1 << 20)
      .Type("N,N,...")
      .ShowDefault();
  command
      .Add("-d,--depth", flags->depths,
           "Tokens in the cache before decoding begins; several depths")
      .SplitAt(',')
      .Range(0, 1 << 20)
      .Type("N,N,...")
      .ShowDefault();
  command.Switch("--details", flags->details,
                 "Also latencies, loading cold and warm, memory by parts, page faults, CPU time");
  command.Add("-n,--decode", flags->speed.decode, "Tokens decoded one by one; 0: none")
      .Range(0, 1 << 20)
      .Type("N")
      .ShowDefault();
  command.Add("-r,--repetitions", flags->speed.repetitions, "Repetitions after a warm-up")
      .Range(1, 10000)
      .Type("N")
      .ShowDefault();
  command.Add("--sequences", flags->speed.sequences, "Also decode so many sequences at a time")
      .Range(1, 4096)
      .Type("N")
      .ShowDefault();
  command
      .Add("--shared-prefix", flags->shared_prefix,
           "Instead: prompts of --sequences sequences that begin with the same N tokens and "
           "have 16 of their own, with shared KV pages and without")
      .Range(1, 1 << 20)
      .Type("N");
  command.Examples(
      "  crossover bench model model-f16.gguf model-q4.gguf\n"
      "  crossover bench model model.gguf -p 128 -n 32 -r 10 --json\n"
      "  crossover bench model model.gguf -p 128,512,2048 -d 0,1024,4096 --details\n"
      "  crossover bench model model.gguf --sequences 16\n"
      "  crossover bench model model.gguf --sequences 64 --shared-prefix 256");
  command.Run([flags, command, &globals] {
    Check(*flags, command);
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools

// crossover bench machine: the limits that every other figure is compared with.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/progress.h"
#include "bench/machine/machine.h"
#include "bench/machine/machine_cache.h"
#include "tools/cmd_bench.h"
#include "tools/version.h"

namespace crossover::tools {
namespace {

struct BenchMachineFlags {
  size_t repetitions = 5;
  bool quick = false;
  bool remeasure = false;
  bool csv = false;
};

bench::MachineLimits Measure(const BenchMachineFlags& flags, const GlobalOptions& globals) {
  // The total is known with the first call; a bar of percents serves until then.
  Progress progress("machine", 100, !globals.quiet);
  return bench::MeasureMachine({
      .threads = globals.thread_count(),
      .repetitions = flags.repetitions,
      .quick = flags.quick,
      .progress = [&](size_t done, size_t total) { progress.Update(done * 100 / total); },
  });
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// From the cache where it has them, else measured and cached, unless a figure was disturbed: that
/// is not the machine's limit. A cache that cannot be written is no failure of the measurement.
bench::MachineLimits Limits(const BenchMachineFlags& flags, const GlobalOptions& globals,
                            bool& cached) {
  const bench::MachineKey key =
      bench::ThisMachine(CROSSOVER_VERSION, globals.thread_count(), flags.repetitions, flags.quick);
  const auto file =
      bench::MachineCachePath(Environment("XDG_CACHE_HOME"), Environment("HOME"), key);
  if (!flags.remeasure && !file.empty()) {
    if (auto limits = bench::ReadMachineCache(file, key)) {
      cached = true;
      return *limits;
    }
  }
  bench::MachineLimits limits = Measure(flags, globals);
  if (file.empty()) return limits;
  if (const size_t disturbed = limits.Disturbed().disturbed(); disturbed > 0) {
    fmt::print(stderr, "crossover: not cached: {} figure{} disturbed\n", disturbed,
               disturbed == 1 ? " was" : "s were");
    return limits;
  }
  try {
    bench::WriteMachineCache(file, key, limits);
  } catch (const std::exception& error) {
    fmt::print(stderr, "crossover: not cached: {}\n", error.what());
  }
  return limits;
}

void Run(const BenchMachineFlags& flags, const GlobalOptions& globals) {
  bool cached = false;
  const bench::MachineLimits limits = Limits(flags, globals, cached);
  if (globals.json) {
    nlohmann::json json = bench::MachineJson(limits);
    json["cached"] = cached;
    fmt::print("{}\n", DumpJson(json, 2));
  } else if (flags.csv) {
    fmt::print("{}", bench::MachineCsv(limits));
  } else {
    fmt::print(
        "{}\nmedian, lowest and highest of the runs, undisturbed ones where there are enough; "
        "GB/s: 10^9 bytes\nread a second, GOP/s: 10^9 multiplications and additions.\n{}",
        bench::MachineTable(limits),
        cached ? fmt::format("Measured {}; --remeasure measures again.\n", limits.date) : "");
  }
}

}  // namespace

void AddBenchMachine(CLI::App& bench, const GlobalOptions& globals) {
  auto flags = std::make_shared<BenchMachineFlags>();
  const Subcommand command(
      bench, "machine",
      "Read bandwidth of caches and memory, peak of each arithmetic unit, latency of a barrier");
  command.Add("-r,--repetitions", flags->repetitions, "Repetitions of each figure")
      .Range(5, 1000)
      .Type("N")
      .ShowDefault();
  command.Switch("--quick", flags->quick, "Memory and arithmetic alone, all threads alone");
  command.Switch("--remeasure", flags->remeasure,
                 "Measure even if figures of this machine, level and program are cached");
  command.Switch("--csv", flags->csv, "One line a figure");
  command.Examples(
      "  crossover bench machine\n"
      "  crossover bench machine --remeasure\n"
      "  crossover bench machine --threads 1 --json\n"
      "  crossover bench machine --isa avx2");
  command.Run([flags, &globals] {
    RefuseCsvWithJson(flags->csv, globals);
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools

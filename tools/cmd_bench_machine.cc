// crossover bench machine: the limits that every other figure is compared with.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "bench/machine.h"
#include "tools/cmd_bench.h"

namespace crossover::tools {
namespace {

struct BenchMachineFlags {
  size_t repetitions = 5;
  bool quick = false;
  bool csv = false;
};

void Run(const BenchMachineFlags& flags, const GlobalOptions& globals) {
  // The total is known with the first call; a bar of percents serves until then.
  Progress progress("machine", 100, !globals.quiet);
  const bench::MachineLimits limits = bench::MeasureMachine({
      .threads = globals.thread_count(),
      .repetitions = flags.repetitions,
      .quick = flags.quick,
      .progress = [&](size_t done, size_t total) { progress.Update(done * 100 / total); },
  });
  if (globals.json) {
    fmt::print("{}\n", bench::MachineJson(limits).dump(2));
  } else if (flags.csv) {
    fmt::print("{}", bench::MachineCsv(limits));
  } else {
    fmt::print(
        "{}\nmedian, lowest and highest of the runs; GB/s: 10^9 bytes read a second, GOP/s: "
        "10^9 multiplications and additions.\n",
        bench::MachineTable(limits));
  }
}

}  // namespace

void AddBenchMachine(CLI::App& bench, const GlobalOptions& globals) {
  auto flags = std::make_shared<BenchMachineFlags>();
  CLI::App* command = bench.add_subcommand(
      "machine", "Read bandwidth of caches and memory, peak of each arithmetic unit");
  command->add_option("-r,--repetitions", flags->repetitions, "Repetitions of each figure")
      ->check(CLI::Range(5, 1000))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--quick", flags->quick, "Memory and arithmetic alone, all threads alone");
  command->add_flag("--csv", flags->csv, "One line a figure");
  SetExamples(*command,
              "  crossover bench machine\n"
              "  crossover bench machine --threads 1 --json\n"
              "  crossover bench machine --isa avx2");
  command->callback([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools

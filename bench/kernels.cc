#include "bench/kernels.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <optional>

#include "base/interrupt.h"
#include "bench/kernel_operands.h"
#include "bench/time_team.h"
#include "kernels/isa.h"

namespace crossover::bench {
namespace {

// Long against a barrier and the clock, short against a time slice of the scheduler.
constexpr double kBatchSeconds = 1e-3;

/// Puts the selected level back.
class LevelGuard {
 public:
  LevelGuard() : level_(kernels::SelectedIsa()) {}
  ~LevelGuard() { kernels::SelectIsa(level_); }
  LevelGuard(const LevelGuard&) = delete;
  LevelGuard& operator=(const LevelGuard&) = delete;

 private:
  std::string level_;
};

using LevelLimits = std::map<std::string, MachineLimits>;

LevelLimits MeasureLimits(const std::vector<KernelCase>& cases, const KernelRunOptions& options) {
  LevelLimits limits;
  for (const KernelCase& c : cases) {
    if (limits.contains(c.level)) continue;
    kernels::SelectIsa(c.level);
    limits[c.level] = MeasureMachine({.threads = options.threads,
                                      .quick = true,
                                      .caches = true,
                                      .memory_bytes = options.memory_bytes});
  }
  return limits;
}

bool IsUnit(const std::string& limit) { return limit != "memory" && !limit.starts_with("L"); }

std::optional<double> LimitOf(const LevelLimits& limits, const KernelCase& c,
                              const std::string& limit, size_t threads) {
  const MachineLimits& machine = limits.at(c.level);
  return IsUnit(limit) ? machine.Peak(limit, threads) : machine.ReadBandwidth(limit, threads);
}

/// Runs cases under Google Benchmark's clockwork. Operands stay from one repetition to the next.
class Runner {
 public:
  Runner(const LevelLimits& limits, size_t threads)
      : limits_(limits), team_(threads), machine_(ReadMachineInfo()) {}

  void Run(benchmark::State& state, const KernelCase& c) {
    ThrowIfInterrupted();
    Prepare(c);
    size_t pass = 0;
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch_))) {
      state.SetIterationTime(Time(pass, batch_));
      pass += batch_;
    }
    const auto rate = benchmark::Counter::kIsIterationInvariantRate;
    state.counters["bytes_per_second"] = benchmark::Counter(work_.bytes, rate);
    if (work_.operations > 0) {
      state.counters["items_per_second"] = benchmark::Counter(work_.operations, rate);
    }
    if (const auto limit = LimitOf(limits_, c, work_.limit, team_.size())) {
      const double amount = IsUnit(work_.limit) ? work_.operations : work_.bytes;
      state.counters["fraction_of_limit"] = benchmark::Counter(amount / *limit, rate);
    }
    state.SetLabel(fmt::format("{} of {}", work_.kernel, work_.limit));
  }

  const KernelWork& work() const { return work_; }

 private:
  double Time(size_t first, size_t count) {
    return TimeTeam(team_, [&](const kernels::Worker& worker) { work_.run(worker, first, count); });
  }

  void Prepare(const KernelCase& c) {
    if (prepared_ == &c) return;
    kernels::SelectIsa(c.level);
    work_ = {};  // the former operands go before new ones come
    KernelBench bench{team_, machine_, weights_};
    work_ = c.prepare(bench);
    prepared_ = &c;
    Time(0, work_.copies);  // brings operands to where they are read from
    batch_ = Calibrate(team_, kBatchSeconds, [&](const kernels::Worker& worker, size_t times) {
      work_.run(worker, 0, times);
    });
  }

  const LevelLimits& limits_;
  kernels::Team team_;
  MachineInfo machine_;
  WeightStore weights_;
  const KernelCase* prepared_ = nullptr;
  KernelWork work_;
  size_t batch_ = 1;
};

/// Collects what Google Benchmark reports, and lets its own reporter write JSON on the way.
class Collector : public benchmark::BenchmarkReporter {
 public:
  Collector(const std::vector<KernelCase>& cases, const Runner& runner,
            const KernelRunOptions& options)
      : options_(options), runner_(runner) {
    for (const KernelCase& c : cases) by_name_[c.Name()] = &c;
  }

  bool ReportContext(const Context& context) override {
    return !options_.json || json_.ReportContext(context);
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    if (options_.json) json_.ReportRuns(runs);
    std::map<std::string, std::vector<double>> samples;  // aggregates come in a call of their own
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      const auto iterations = static_cast<double>(std::max<int64_t>(run.iterations, 1));
      samples["seconds"].push_back(run.real_accumulated_time / iterations);
      for (const auto& [name, counter] : run.counters) samples[name].push_back(counter.value);
    }
    const auto found = by_name_.find(runs.front().run_name.function_name);
    if (found == by_name_.end() || samples.empty()) return;
    results_.push_back({found->second, runner_.work().kernel, runner_.work().limit,
                        Summarise(samples["seconds"]), Summarise(samples["bytes_per_second"]),
                        Summarise(samples["items_per_second"]),
                        Summarise(samples["fraction_of_limit"])});
    if (options_.progress) options_.progress(results_.size(), by_name_.size());
  }

  void Finalize() override {
    if (options_.json) json_.Finalize();
  }

  std::vector<KernelResult> Take() { return std::move(results_); }

 private:
  const KernelRunOptions& options_;
  const Runner& runner_;
  benchmark::JSONReporter json_;
  std::map<std::string, const KernelCase*> by_name_;
  std::vector<KernelResult> results_;
};

double Least(const std::vector<double>& samples) { return Summarise(samples).min; }
double Most(const std::vector<double>& samples) { return Summarise(samples).max; }

void AddContext(const LevelLimits& limits, size_t threads) {
  benchmark::AddCustomContext("threads", std::to_string(threads));
  for (const auto& [level, machine] : limits) {
    for (const char* memory : {"L1", "L2", "L3", "memory"}) {
      if (const auto rate = machine.ReadBandwidth(memory, threads)) {
        benchmark::AddCustomContext(fmt::format("limit/{}/{}", level, memory),
                                    fmt::format("{:.4g} bytes/s", *rate));
      }
    }
    for (const PeakLimit& peak : machine.peak) {
      if (!peak.measured()) continue;
      benchmark::AddCustomContext(fmt::format("limit/{}/{}", level, peak.unit),
                                  fmt::format("{:.4g} operations/s", peak.summary().median));
    }
  }
}

/// Google Benchmark reads its flags from an argument list.
void Initialize(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "crossover");
  std::vector<char*> arguments;
  for (std::string& flag : flags) arguments.push_back(flag.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
}

}  // namespace

std::vector<KernelResult> RunKernelCases(const std::vector<KernelCase>& cases,
                                         const KernelRunOptions& options) {
  const LevelGuard guard;
  const LevelLimits limits = MeasureLimits(cases, options);
  AddContext(limits, options.threads);
  Initialize(options.benchmark_flags);
  Runner runner(limits, options.threads);
  for (const KernelCase& c : cases) {
    benchmark::RegisterBenchmark(c.Name().c_str(),
                                 [&](benchmark::State& state) { runner.Run(state, c); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->MinTime(options.min_seconds)
        ->Repetitions(static_cast<int>(options.repetitions))
        ->ComputeStatistics("min", Least)
        ->ComputeStatistics("max", Most);
  }
  Collector collector(cases, runner, options);
  benchmark::RunSpecifiedBenchmarks(&collector);
  benchmark::ClearRegisteredBenchmarks();  // they refer to what ends here
  return collector.Take();
}

}  // namespace crossover::bench

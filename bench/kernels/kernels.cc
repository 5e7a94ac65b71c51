#include "bench/kernels/kernels.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <optional>

#include "base/interrupt.h"
#include "bench/kernels/kernel_operands.h"
#include "bench/machine/load_probe.h"
#include "bench/machine/time_team.h"
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
  Runner(const LevelLimits& limits, const KernelRunOptions& options)
      : limits_(limits),
        options_(options),
        team_(options.threads),
        watch_(options.threads),
        machine_(ReadMachineInfo()) {}

  void Run(benchmark::State& state, const KernelCase& c) {
    ThrowIfInterrupted();
    Prepare(c);
    Repeat(state);
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
  /// Of the last `repetitions` runs; those before them found out how long one must be.
  Conditions LastConditions(size_t repetitions) const {
    Conditions last{.asked = repetitions};
    const size_t first = runs_.size() - std::min(repetitions, runs_.size());
    for (size_t i = first; i < runs_.size(); ++i) watch_.Add(runs_[i], last);
    return last;
  }

 private:
  /// One run, of as many passes as Google Benchmark asks for.
  void Repeat(benchmark::State& state) {
    size_t passes = 0;
    double seconds = 0;
    watch_.Start();
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch_))) {
      const double batch = Time(passes, batch_);
      state.SetIterationTime(batch);
      seconds += batch;
      passes += batch_;
    }
    Disturbance disturbance = watch_.Stop();
    // Runs that are shorter only look for the number of passes.
    while (disturbance.disturbed() && seconds >= options_.min_seconds && extra_ > 0) {
      --extra_;
      watch_.Start();
      double again = 0;
      for (size_t done = 0; done < passes; done += batch_) again += Time(done, batch_);
      const Disturbance repeated = watch_.Stop();
      if (repeated.disturbed()) continue;
      state.SetIterationTime(again - seconds);  // it adds up: the difference replaces the time
      disturbance = repeated;
    }
    Count(disturbance, state);
    runs_.push_back(disturbance);
  }

  static void Count(const Disturbance& disturbance, benchmark::State& state) {
    const auto count = [&](const char* name, const std::optional<double>& share) {
      if (share) state.counters[name] = *share;
    };
    for (const auto& [name, share] : kShares) count(name, disturbance.*share);
    count("mhz", disturbance.mhz);
    state.counters["involuntary_switches"] = static_cast<double>(disturbance.involuntary_switches);
    state.counters["disturbed"] = disturbance.disturbed() ? 1 : 0;
  }

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
    runs_.clear();
    extra_ = options_.repetitions;
    Time(0, work_.copies);  // brings operands to where they are read from
    batch_ = Calibrate(team_, kBatchSeconds, [&](const kernels::Worker& worker, size_t times) {
      work_.run(worker, 0, times);
    });
  }

  const LevelLimits& limits_;
  const KernelRunOptions& options_;
  kernels::Team team_;
  Watch watch_;
  MachineInfo machine_;
  WeightStore weights_;
  const KernelCase* prepared_ = nullptr;
  KernelWork work_;
  size_t batch_ = 1;
  size_t extra_ = 0;  // repetitions that disturbed ones of the case may still take
  std::vector<Disturbance> runs_ = {};  // of the case
};

/// Collects what Google Benchmark reports, and lets its own reporter write JSON on the way.
class Collector : public benchmark::BenchmarkReporter {
 public:
  Collector(const std::vector<KernelCase>& cases, const LevelLimits& limits, const Runner& runner,
            const KernelRunOptions& options)
      : options_(options), limits_(limits), runner_(runner) {
    for (const KernelCase& c : cases) by_name_[c.Name()] = &c;
    if (options.json != nullptr) json_.SetOutputStream(options.json);
  }

  bool ReportContext(const Context& context) override {
    return options_.json == nullptr || json_.ReportContext(context);
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    if (options_.json != nullptr) json_.ReportRuns(OfNumbers(runs));
    std::map<std::string, std::vector<double>> samples;  // aggregates come in a call of their own
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      const auto iterations = static_cast<double>(std::max<int64_t>(run.iterations, 1));
      samples["seconds"].push_back(run.real_accumulated_time / iterations);
      for (const auto& [name, counter] : run.counters) samples[name].push_back(counter.value);
    }
    const auto found = by_name_.find(runs.front().run_name.function_name);
    if (found == by_name_.end() || samples.empty()) return;
    const Conditions conditions = runner_.LastConditions(samples["seconds"].size());
    const auto summary = [&](const char* name) {
      return Summarise(conditions.Kept(samples[name]));
    };
    const std::string& limit = runner_.work().limit;
    results_.push_back({found->second, runner_.work().kernel, limit, summary("seconds"),
                        summary("bytes_per_second"), summary("items_per_second"),
                        summary("fraction_of_limit"), conditions,
                        limits_.at(found->second->level).Disturbed(limit)});
    if (options_.progress) options_.progress(results_.size(), by_name_.size());
  }

  void Finalize() override {
    if (options_.json != nullptr) json_.Finalize();
  }

  std::vector<KernelResult> Take() { return std::move(results_); }

 private:
  /// Without counters that are no number, which JSON has no word for: the variation of what was 0
  /// in every repetition.
  static std::vector<Run> OfNumbers(std::vector<Run> runs) {
    for (Run& run : runs) {
      std::erase_if(run.counters, [](const auto& c) { return !std::isfinite(c.second.value); });
    }
    return runs;
  }

  const KernelRunOptions& options_;
  const LevelLimits& limits_;
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
    if (const std::string causes = machine.Disturbed().Causes(); !causes.empty()) {
      benchmark::AddCustomContext(fmt::format("limit/{}/disturbed", level), causes);
    }
    for (const PeakLimit& peak : machine.peak) {
      if (!peak.measured()) continue;
      benchmark::AddCustomContext(fmt::format("limit/{}/{}", level, peak.unit),
                                  fmt::format("{:.4g} operations/s", peak.summary().median));
    }
  }
}

}  // namespace

std::vector<KernelResult> RunKernelCases(const std::vector<KernelCase>& cases,
                                         const KernelRunOptions& options) {
  const LevelGuard guard;
  const LevelLimits limits = MeasureLimits(cases, options);
  AddContext(limits, options.threads);
  char name[] = "crossover";
  char* arguments[] = {name, nullptr};
  int count = 1;
  benchmark::Initialize(&count, arguments);
  Runner runner(limits, options);
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
  Collector collector(cases, limits, runner, options);
  benchmark::RunSpecifiedBenchmarks(&collector);
  benchmark::ClearRegisteredBenchmarks();  // they refer to what ends here
  return collector.Take();
}

}  // namespace crossover::bench

// Reads the system's counters of what else runs (disturbance.h), and watches repetitions with them.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bench/machine/disturbance.h"

namespace crossover::bench {

/// What is missing under /proc and /sys (containers, other kernels) stays absent, with the reason
/// in unknown(). A look takes some 0.1 ms, more with many CPUs and threads.
class LoadProbe {
 public:
  /// `root`: for tests.
  explicit LoadProbe(std::filesystem::path root = "/");

  LoadSnapshot Look();
  /// Of what could not be read in any look so far: "frequency": "no cpufreq in /sys".
  const std::map<std::string, std::string>& unknown() const { return unknown_; }

 private:
  void ReadStat(LoadSnapshot& snapshot);
  void ReadRunWait(LoadSnapshot& snapshot);
  void ReadThrottled(LoadSnapshot& snapshot);
  void ReadPressure(LoadSnapshot& snapshot);
  void ReadFrequency(LoadSnapshot& snapshot);

  std::filesystem::path root_;
  std::vector<std::filesystem::path> quota_files_;  // cpu.stat of this process's cgroup and above
  std::map<std::string, std::string> unknown_ = {};
};

/// The files that tell how long the CPU quotas of this process's cgroup and of those above it have
/// stopped it: cgroup v2's or v1's cpu.stat. Empty where there is none.
std::vector<std::filesystem::path> QuotaFiles(const std::filesystem::path& root);

/// Watches repetitions with `threads` threads, one at a time.
class Watch {
 public:
  explicit Watch(size_t threads, LoadProbe probe = LoadProbe());

  /// For what follows.
  void SetThreads(size_t threads) { threads_ = threads; }

  void Start();
  /// What else ran since Start.
  Disturbance Stop();
  /// The same as a repetition of a figure.
  void Stop(Conditions& conditions) { Add(Stop(), conditions); }
  void Add(const Disturbance& repetition, Conditions& conditions) const;

  /// All repetitions of a figure: calls `once`, watched, `repetitions` times and as often again as
  /// Conditions asks for.
  template <class Once>
  void Repeat(size_t repetitions, Conditions& conditions, const Once& once) {
    conditions.asked = repetitions;
    while (conditions.WantsMore()) {
      Start();
      once();
      Stop(conditions);
    }
  }

 private:
  LoadSnapshot Look();

  size_t threads_;
  LoadProbe probe_;
  std::deque<LoadSnapshot> looks_ = {};  // those that are less than kTickSpan old, and one before
  LoadSnapshot before_ = {};
};

}  // namespace crossover::bench

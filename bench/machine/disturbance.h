// What else ran while something was measured, from two looks at the system's counters, and whether
// it was too much. Reading the counters is load_probe.h's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace crossover::bench {

/// A repetition is disturbed if one of its shares exceeds this. Quiet repetitions differ among
/// themselves by about as much, so that less could not be seen in a figure; a competitor for a CPU
/// takes tens of per cent (docs/method.md has what was measured).
inline constexpr double kDisturbedShare = 0.02;
/// Waiting for a CPU is not judged below this: waking a thread up and a turn of a kernel thread
/// take as long, where a competitor's turn takes milliseconds.
inline constexpr double kLeastRunWaitSeconds = 0.5e-3;

/// What the system's counters say at one moment. What it does not tell is absent.
struct LoadSnapshot {
  double wall_s = 0;
  double own_cpu_s = 0;  // this process and the children that it has waited for
  uint64_t involuntary_switches = 0;
  size_t cpus = 1;                     // that this process may run on
  double tick_s = 0.01;                // in which busy_s and steal_s count
  std::optional<double> busy_s = {};   // of those CPUs together, by all processes and the kernel
  std::optional<double> steal_s = {};  // that a hypervisor gave to other guests
  /// That each thread of this process was ready to run and had no CPU, by thread.
  std::optional<std::map<int, double>> run_wait_s = {};
  std::optional<double> throttled_s = {};  // by the quota of a cgroup
  std::optional<double> pressure_s = {};   // that anybody waited for a CPU (/proc/pressure/cpu)
  std::optional<double> mhz = {};          // of the CPU that looked
};

/// What else ran during one repetition. Shares are of its time, 0 to 1; absent: not told.
struct Disturbance {
  double wall_s = 0;
  std::optional<double> run_wait = {};  // that the thread that waited longest waited for a CPU
  std::optional<double> others = {};    // of the CPUs' time: what other processes took
  std::optional<double> steal = {};     // of the CPUs' time: what other guests took
  std::optional<double> throttled = {};
  std::optional<double> pressure = {};
  uint64_t involuntary_switches = 0;
  std::optional<double> mhz = {};
  /// What one tick of the clock of `others` is as a share: it is judged beyond that.
  double resolution = 0;
  /// More threads than CPUs wait for each other: waiting and pressure say nothing of others then.
  bool crowded = false;

  bool disturbed() const { return !Causes().empty(); }
  /// The shares that exceed the threshold, each with the words for it, the largest first.
  std::vector<std::pair<std::string, double>> Causes() const;
};

/// All shares of a repetition, by their names in JSON.
struct NamedShare {
  const char* name;
  std::optional<double> Disturbance::*share;
};
inline constexpr std::array<NamedShare, 5> kShares{{{"run_wait_share", &Disturbance::run_wait},
                                                    {"others_share", &Disturbance::others},
                                                    {"steal_share", &Disturbance::steal},
                                                    {"throttled_share", &Disturbance::throttled},
                                                    {"pressure_share", &Disturbance::pressure}}};

/// What happened between two looks, for a measurement with that many threads. `earlier`: a look
/// before both, or `before` itself: what is counted in ticks is compared from there on, since a
/// short repetition has too few of them.
Disturbance Compare(const LoadSnapshot& earlier, const LoadSnapshot& before,
                    const LoadSnapshot& after, size_t threads);

/// The same repetition looked at in several parts: the largest of each share.
Disturbance Worst(const Disturbance& a, const Disturbance& b);

/// Under what conditions a figure's repetitions ran, and which of them it rests on.
///
/// A figure is asked for in so many repetitions. Disturbed ones are repeated: as many more at most,
/// and no further one once the additional ones have taken 30 s. The figure is that of the quiet
/// repetitions if they are at least half of those asked for; else that of all, and disturbed.
struct Conditions {
  size_t asked = 0;
  std::vector<Disturbance> repetitions = {};        // in the order measured; empty: unknown
  std::map<std::string, std::string> unknown = {};  // "frequency": why it is not told

  /// Whether the system told anything by which repetitions can be judged.
  bool known() const;
  size_t quiet() const;
  bool disturbed() const;
  /// Whether another repetition is due.
  bool WantsMore() const;

  /// The largest of each share among the repetitions that the figure rests on.
  Disturbance Largest() const;

  /// Whether the figure rests on repetition i.
  bool Keeps(size_t i) const;
  /// The samples that the figure rests on, of one a repetition.
  template <class T>
  std::vector<T> Kept(const std::vector<T>& samples) const {
    std::vector<T> kept;
    for (size_t i = 0; i < samples.size(); ++i) {
      if (Keeps(i)) kept.push_back(samples[i]);
    }
    return kept;
  }
};

/// "!" for a disturbed figure, to stand behind it in a table; else empty.
inline const char* Mark(const Conditions& conditions) { return conditions.disturbed() ? "!" : ""; }

/// The same for spreadsheets: "1" or "0", empty where nothing is known.
const char* CsvField(const Conditions& conditions);

/// How many of a table's figures, or of a study's cells, were disturbed, and by what.
class DisturbedCount {
 public:
  void Add(const Conditions& conditions);
  /// Of something that has several figures: disturbed if one of them is.
  void Add(std::span<const Conditions* const> parts);
  size_t disturbed() const { return disturbed_; }
  size_t unknown() const { return unknown_; }
  size_t all() const { return all_; }
  /// "waiting for a CPU up to 34 %, other processes up to 50 % of the CPUs"; empty for none.
  std::string Causes() const;
  /// "! disturbed: 3 of 8 figures (…) …" with a line's end, for the foot of a table; empty for
  /// none.
  std::string FootLine() const;

 private:
  size_t all_ = 0;
  size_t disturbed_ = 0;
  size_t unknown_ = 0;
  size_t left_out_ = 0;                        // repetitions of figures that are not disturbed
  std::map<std::string, double> causes_ = {};  // the largest share of each
};

void to_json(nlohmann::json& json, const Disturbance& disturbance);
/// nlohmann::json::exception names a missing or wrongly typed key.
void from_json(const nlohmann::json& json, Disturbance& disturbance);
/// {disturbed, threshold, asked, quiet, repetitions:[…], not_available:{…}}; null if unknown.
void to_json(nlohmann::json& json, const Conditions& conditions);
void from_json(const nlohmann::json& json, Conditions& conditions);
/// The conditions under `key`; unknown where a record from before there were any lacks them.
Conditions ConditionsOf(const nlohmann::json& json, const char* key = "conditions");

}  // namespace crossover::bench

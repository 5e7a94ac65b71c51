// The machine's limits, measured: how fast bytes can be read from each level, how fast each
// arithmetic unit goes. The denominators of every other figure.
//
// Each figure is the best that a plain loop of ours reaches: a read is summed with XOR by the
// widest loads of the selected ISA level, arithmetic runs on registers alone. Threads are a team
// with a slice each; a repetition is timed from barrier to barrier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/machine/disturbance.h"
#include "bench/machine/machine_info.h"
#include "bench/summary.h"

namespace crossover::bench {

struct BandwidthLimit {
  std::string level;  // "L1", "L2", "L3", "memory_4k", "memory_huge", "mapped_file"
  size_t threads = 0;
  uint64_t working_set_bytes = 0;    // of all threads together
  std::vector<double> bytes_s = {};  // a value a repetition; empty: not measured
  std::string reason = {};           // why there is none, or what to mind of the figure
  Conditions conditions = {};        // of each repetition

  bool measured() const { return !bytes_s.empty(); }
  Summary summary() const { return Summarise(conditions.Kept(bytes_s)); }
};

struct PeakLimit {
  std::string unit;              // as kernels::PeakLoop names it
  std::string instruction = {};  // what it ran
  size_t threads = 0;
  std::vector<double> operations_s = {};  // multiplications and additions; empty: not measured
  std::string reason = {};
  Conditions conditions = {};

  bool measured() const { return !operations_s.empty(); }
  Summary summary() const { return Summarise(conditions.Kept(operations_s)); }
};

/// What it takes all threads to wait for each other once, in a row of such.
struct BarrierLimit {
  size_t threads = 0;
  std::vector<double> seconds = {};
  Conditions conditions = {};

  Summary summary() const { return Summarise(conditions.Kept(seconds)); }
};

struct MachineLimits {
  std::string isa;  // the level that the loops were compiled for
  std::vector<BandwidthLimit> bandwidth;
  std::vector<PeakLimit> peak;
  std::vector<BarrierLimit> barrier = {};  // of two threads and more
  std::string date = {};                   // UTC; empty: not told

  /// Bytes a second that `threads` read from memory, the better of page sizes, by the median.
  /// Between measured thread counts: the nearest one below. Nothing if memory was not measured.
  std::optional<double> ReadBandwidth(size_t threads) const;
  /// The same of one level: "L1", "L2", "L3" or "memory".
  std::optional<double> ReadBandwidth(std::string_view level, size_t threads) const;
  /// Operations a second of one unit, by the same rule.
  std::optional<double> Peak(std::string_view unit, size_t threads) const;
  /// The fastest floating-point unit measured with that many threads: "f32_fma", "bf16_dot" or
  /// "amx_bf16"; null if none was.
  const PeakLimit* BestFloatPeak(size_t threads) const;
  /// How many of the measured figures were disturbed, and by what.
  DisturbedCount Disturbed() const;
  /// Whether a figure of that level ("memory": of any kind) or unit was.
  bool Disturbed(std::string_view level_or_unit) const;
};

struct MachineOptions {
  size_t threads = 1;      // the most; fewer are measured too, by powers of two
  size_t repetitions = 5;  // of each figure; of a disturbed one up to twice as many
  /// Only memory with huge pages and the arithmetic units, at `threads` alone: for programs that
  /// need a denominator, in two to three seconds instead of some fifteen.
  bool quick = false;
  bool caches = false;      // the caches too, when quick
  size_t memory_bytes = 0;  // the buffer read as "memory"; 0: twice the last cache, within reason
  std::function<void(size_t done, size_t total)> progress = nullptr;
};

/// Throws Error(kInterrupted) on Ctrl-C between measurements, Error(kOutOfMemory) if not even the
/// smallest buffer can be had.
MachineLimits MeasureMachine(const MachineOptions& options);

/// Bytes, of all threads together, to read from the cache of that level: far from what the levels
/// before it and it hold. 0 if there is no such cache or it is too small beside those before it.
size_t CacheWorkingSet(const MachineInfo& machine, int level, size_t threads);
/// Bytes to read from memory: beyond the last cache, within what is there.
size_t MemoryWorkingSet(const MachineInfo& machine);

/// 1, 2, 4, … and `threads` itself.
std::vector<size_t> ThreadCounts(size_t threads);

/// {cpu, …, bandwidth:[{level, threads, gb_s, …}], peak:[{unit, threads, gop_s, …}],
/// barrier:[{threads, microseconds, …}]}; what was not measured is null with a reason.
nlohmann::json MachineJson(const MachineLimits& limits);
/// What MachineJson wrote. nlohmann::json::exception names a missing or wrongly typed key.
MachineLimits MachineFromJson(const nlohmann::json& json);
/// The same for people, and one line a figure for spreadsheets.
std::string MachineTable(const MachineLimits& limits);
std::string MachineCsv(const MachineLimits& limits);

}  // namespace crossover::bench

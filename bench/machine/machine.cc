#include "bench/machine/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "bench/machine/load_probe.h"
#include "bench/machine/machine_info.h"
#include "bench/machine/read_buffer.h"
#include "bench/machine/system.h"
#include "bench/machine/time_team.h"
#include "kernels/isa.h"
#include "kernels/probe.h"
#include "kernels/team.h"

namespace crossover::bench {
namespace {

using kernels::Team;
using kernels::Worker;

constexpr size_t kMiB = size_t{1} << 20;
// Slices begin at page boundaries, which also keeps them whole numbers of ReadMemory's steps.
constexpr size_t kSliceMultiple = 4096;
// Long against a barrier (microseconds), short against a time slice of the scheduler.
constexpr double kReadSeconds = 3e-3;
constexpr double kPeakSeconds = 8e-3;

/// A value a repetition.
struct Rates {
  std::vector<double> values = {};
  Conditions conditions = {};

  double median() const { return Summarise(conditions.Kept(values)).median; }
};

/// A rate for each repetition of work(worker, times), which does `amount` a time; a repetition
/// takes about `seconds`. The calibration has warmed up caches, page tables and clocks.
template <class Work>
Rates Repeat(Team& team, Watch& watch, size_t repetitions, double seconds, double amount,
             const Work& work) {
  const size_t times = Calibrate(team, seconds, work);
  Rates rates;
  watch.SetThreads(team.size());
  watch.Repeat(repetitions, rates.conditions, [&] {
    const double elapsed = TimeTeam(team, [&](const Worker& worker) { work(worker, times); });
    rates.values.push_back(amount * static_cast<double>(times) / elapsed);
  });
  return rates;
}

class Measurement {
 public:
  explicit Measurement(const MachineOptions& options)
      : options_(options),
        watch_(options.threads),
        info_(ReadMachineInfo()),
        loops_(kernels::PeakLoops()) {
    counts_ = options.quick ? std::vector<size_t>{options.threads} : ThreadCounts(options.threads);
    const size_t levels = !options.quick ? 6 : options.caches ? 4 : 1;
    steps_ = counts_.size() * (levels + loops_.size());
    if (!options.quick) {
      for (const size_t threads : counts_) steps_ += threads > 1 ? 1 : 0;
    }
    limits_.isa = kernels::SelectedIsa();
    limits_.date = UtcTimestamp();
  }

  MachineLimits Run() {
    {
      Team team(options_.threads);
      const ReadBuffer buffer = Allocate(PageSize::kHuge, team);
      if (!options_.quick || options_.caches) MeasureCaches(buffer);
      for (const size_t threads : counts_) {
        MeasureMemory(buffer, "memory_huge", threads, HugePageProblem(buffer));
      }
    }
    if (!options_.quick) {
      Team team(options_.threads);
      const ReadBuffer buffer = Allocate(PageSize::k4KiB, team);
      for (const size_t threads : counts_) MeasureMemory(buffer, "memory_4k", threads, "");
    }
    if (!options_.quick) {
      MeasureFile();
      for (const size_t threads : counts_) {
        if (threads > 1) MeasureBarrier(threads);
      }
    }
    for (const kernels::PeakLoop& loop : loops_) {
      for (const size_t threads : counts_) MeasurePeak(loop, threads);
    }
    return std::move(limits_);
  }

 private:
  uint64_t CacheBytes(int level) const {
    const CacheInfo* cache = info_.FindCache(level);
    return cache != nullptr ? cache->bytes : 0;
  }

  void Step() {
    ThrowIfInterrupted();
    ++done_;
    if (options_.progress) options_.progress(done_, steps_);
  }

  struct BufferSize {
    size_t bytes;
    size_t least;
    double seconds;
  };
  BufferSize Sizes() const {
    const size_t bytes =
        options_.memory_bytes > 0 ? options_.memory_bytes : MemoryWorkingSet(info_);
    return {bytes, std::min(bytes, 256 * kMiB), options_.quick ? 1.5 : 2.5};
  }
  ReadBuffer Allocate(PageSize page_size, Team& team) const {
    const auto [bytes, least, seconds] = Sizes();
    return ReadBuffer(bytes, least, seconds, page_size, team);
  }

  // Why the buffer is no good for "memory_huge"; empty if it is.
  std::string HugePageProblem(const ReadBuffer& buffer) const {
    const size_t huge = buffer.huge_bytes();
    if (huge >= buffer.size() / 10 * 9) return "";
    return fmt::format("{} of {} MiB came in huge pages (transparent_hugepage/enabled: {})",
                       huge / kMiB, buffer.size() / kMiB,
                       info_.huge_pages.empty() ? "unknown" : info_.huge_pages);
  }

  Rates Read(const ReadBuffer& buffer, size_t bytes, size_t threads, bool prefetch) {
    Team team(threads);
    const size_t slice = bytes / threads / kSliceMultiple * kSliceMultiple;
    return Repeat(team, watch_, options_.repetitions, kReadSeconds,
                  static_cast<double>(slice * threads), [&](const Worker& worker, size_t times) {
                    kernels::ReadMemory(buffer.data() + worker.rank * slice, slice, times,
                                        prefetch);
                  });
  }

  // With and without prefetch; the better one is the limit.
  Rates ReadBestOf(const ReadBuffer& buffer, size_t bytes, size_t threads) {
    Rates plain = Read(buffer, bytes, threads, false);
    Rates ahead = Read(buffer, bytes, threads, true);
    return plain.median() >= ahead.median() ? plain : ahead;
  }

  static void Set(BandwidthLimit& limit, Rates rates) {
    limit.bytes_s = std::move(rates.values);
    limit.conditions = std::move(rates.conditions);
  }

  void MeasureCaches(const ReadBuffer& buffer) {
    for (const int level : {1, 2, 3}) {
      for (const size_t threads : counts_) AddCache(buffer, level, threads);
    }
  }

  void AddCache(const ReadBuffer& buffer, int level, size_t threads) {
    BandwidthLimit limit;
    limit.level = fmt::format("L{}", level);
    limit.threads = threads;
    const size_t working_set = std::min(CacheWorkingSet(info_, level, threads), buffer.size());
    if (CacheBytes(level) == 0) {
      limit.reason = "the system tells of no such cache";
    } else if (working_set / threads < kSliceMultiple) {
      limit.reason = "too small beside the caches before it";
    } else {
      limit.working_set_bytes = working_set;
      Set(limit, level == 3 ? ReadBestOf(buffer, working_set, threads)
                            : Read(buffer, working_set, threads, false));
    }
    limits_.bandwidth.push_back(std::move(limit));
    Step();
  }

  void MeasureMemory(const ReadBuffer& buffer, const char* level, size_t threads,
                     const std::string& problem) {
    BandwidthLimit limit;
    limit.level = level;
    limit.threads = threads;
    limit.reason = problem;
    if (problem.empty()) {
      limit.working_set_bytes = buffer.size();
      Set(limit, ReadBestOf(buffer, buffer.size(), threads));
      if (const uint64_t l3 = CacheBytes(3); buffer.size() < 2 * l3) {
        limit.reason = fmt::format(
            "{} MiB read, the L3 cache is said to have {}: part of them may "
            "come from there",
            buffer.size() / kMiB, l3 / kMiB);
      }
    }
    limits_.bandwidth.push_back(std::move(limit));
    Step();
  }

  void MeasureFile() {
    Team team(options_.threads);
    std::string problem;
    std::optional<ReadBuffer> buffer;
    try {
      const auto [bytes, least, seconds] = Sizes();
      buffer.emplace(bytes, least, seconds, PageSize::kFile, team);
    } catch (const Error& error) {
      problem = error.what();
    }
    for (const size_t threads : counts_) {
      if (buffer) {
        MeasureMemory(*buffer, "mapped_file", threads, "");
      } else {
        limits_.bandwidth.push_back(
            {.level = "mapped_file", .threads = threads, .reason = problem});
        Step();
      }
    }
  }

  void MeasureBarrier(size_t threads) {
    Team team(threads);
    BarrierLimit limit{.threads = threads};
    const auto work = [](const Worker& worker, size_t times) {
      for (size_t i = 0; i < times; ++i) worker.Sync();
    };
    // Not calibrated: each thread would wait for others that do another number of them.
    constexpr size_t kTimes = 2000;
    const auto time = [&] {
      return TimeTeam(team, [&](const Worker& worker) { work(worker, kTimes); }) / kTimes;
    };
    time();  // wakes threads up
    watch_.SetThreads(threads);
    watch_.Repeat(options_.repetitions, limit.conditions, [&] { limit.seconds.push_back(time()); });
    limits_.barrier.push_back(std::move(limit));
    Step();
  }

  void MeasurePeak(const kernels::PeakLoop& loop, size_t threads) {
    PeakLimit limit;
    limit.unit = loop.unit;
    limit.instruction = loop.instruction;
    limit.threads = threads;
    limit.reason = loop.missing;
    if (loop.run != nullptr) {
      Team team(threads);
      Rates rates = Repeat(team, watch_, options_.repetitions, kPeakSeconds,
                           loop.operations * static_cast<double>(threads),
                           [&](const Worker&, size_t times) { loop.run(times); });
      limit.operations_s = std::move(rates.values);
      limit.conditions = std::move(rates.conditions);
    }
    limits_.peak.push_back(std::move(limit));
    Step();
  }

  const MachineOptions& options_;
  Watch watch_;
  MachineInfo info_;
  std::vector<kernels::PeakLoop> loops_;
  std::vector<size_t> counts_;
  size_t steps_ = 0;
  size_t done_ = 0;
  MachineLimits limits_;
};

/// The largest measured thread count up to `threads` among what `matches`; 0 if there is none.
template <class Limit, class Matches>
size_t NearestCount(const std::vector<Limit>& limits, size_t threads, const Matches& matches) {
  size_t nearest = 0;
  for (const Limit& limit : limits) {
    if (limit.measured() && limit.threads <= threads && matches(limit)) {
      nearest = std::max(nearest, limit.threads);
    }
  }
  return nearest;
}

}  // namespace

size_t CacheWorkingSet(const MachineInfo& machine, int level, size_t threads) {
  const auto bytes = [&](int l) -> size_t {
    const CacheInfo* cache = l == 0 ? nullptr : machine.FindCache(l);
    return cache != nullptr ? cache->bytes : 0;
  };
  // Threads have caches of their own up to level 2 and share the next.
  const size_t here = level < 3 ? threads * bytes(level) : bytes(level);
  const size_t before = threads * bytes(level - 1);
  if (here == 0) return 0;
  if (level == 1) return here / 2;
  const auto between =
      static_cast<size_t>(std::sqrt(static_cast<double>(before) * static_cast<double>(here)));
  return between < 2 * before ? 0 : between;
}

size_t MemoryWorkingSet(const MachineInfo& machine) {
  const CacheInfo* last = machine.FindCache(3);
  const size_t bytes =
      std::clamp<size_t>(2 * (last != nullptr ? last->bytes : 0), 512 * kMiB, 1024 * kMiB);
  return machine.available_bytes > 0 ? std::min<size_t>(bytes, machine.available_bytes / 4) : bytes;
}

std::optional<double> MachineLimits::ReadBandwidth(size_t threads) const {
  return ReadBandwidth("memory", threads);
}

std::optional<double> MachineLimits::ReadBandwidth(std::string_view level, size_t threads) const {
  const auto is_level = [&](const BandwidthLimit& b) { return b.level.starts_with(level); };
  const size_t count = NearestCount(bandwidth, threads, is_level);
  std::optional<double> best;
  for (const BandwidthLimit& limit : bandwidth) {
    if (!limit.measured() || limit.threads != count || !is_level(limit)) continue;
    best = std::max(best.value_or(0.0), limit.summary().median);
  }
  return best;
}

std::optional<double> MachineLimits::Peak(std::string_view unit, size_t threads) const {
  const auto is_unit = [&](const PeakLimit& p) { return p.unit == unit; };
  const size_t count = NearestCount(peak, threads, is_unit);
  for (const PeakLimit& limit : peak) {
    if (limit.measured() && limit.threads == count && is_unit(limit)) {
      return limit.summary().median;
    }
  }
  return std::nullopt;
}

const PeakLimit* MachineLimits::BestFloatPeak(size_t threads) const {
  const auto is_float = [](const PeakLimit& p) {
    return !p.unit.ends_with("int8") && p.unit != "int8_dot";
  };
  const size_t count = NearestCount(peak, threads, is_float);
  const PeakLimit* best = nullptr;
  for (const PeakLimit& limit : peak) {
    if (!limit.measured() || limit.threads != count || !is_float(limit)) continue;
    if (best == nullptr || limit.summary().median > best->summary().median) best = &limit;
  }
  return best;
}

DisturbedCount MachineLimits::Disturbed() const {
  DisturbedCount count;
  for (const BandwidthLimit& limit : bandwidth) {
    if (limit.measured()) count.Add(limit.conditions);
  }
  for (const PeakLimit& limit : peak) {
    if (limit.measured()) count.Add(limit.conditions);
  }
  for (const BarrierLimit& limit : barrier) count.Add(limit.conditions);
  return count;
}

bool MachineLimits::Disturbed(std::string_view level_or_unit) const {
  return std::any_of(bandwidth.begin(), bandwidth.end(),
                     [&](const BandwidthLimit& limit) {
                       return limit.level.starts_with(level_or_unit) &&
                              limit.conditions.disturbed();
                     }) ||
         std::any_of(peak.begin(), peak.end(), [&](const PeakLimit& limit) {
           return limit.unit == level_or_unit && limit.conditions.disturbed();
         });
}

std::vector<size_t> ThreadCounts(size_t threads) {
  std::vector<size_t> counts;
  for (size_t count = 1; count < threads; count *= 2) counts.push_back(count);
  counts.push_back(threads);
  return counts;
}

MachineLimits MeasureMachine(const MachineOptions& options) { return Measurement(options).Run(); }

}  // namespace crossover::bench

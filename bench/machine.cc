#include "bench/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/interrupt.h"
#include "bench/machine_info.h"
#include "bench/read_buffer.h"
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

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seconds from the moment that all threads are there until all are done with work(worker).
template <class Work>
double TimeTeam(Team& team, const Work& work) {
  Clock::time_point start;
  double seconds = 0;
  team.Run([&](const Worker& worker) {
    worker.Sync();
    if (worker.rank == 0) start = Clock::now();
    work(worker);
    worker.Sync();
    if (worker.rank == 0) seconds = SecondsSince(start);
  });
  return std::max(seconds, 1e-9);
}

/// How often work(worker, times) has to be done to last about `seconds`. Only what the first thread
/// itself needs counts, the least of three: on a busy machine a barrier may wait for a thread that
/// is not even running, which says nothing of the work.
template <class Work>
size_t Calibrate(Team& team, double seconds, const Work& work) {
  for (size_t times = 1;;) {
    double least = seconds;
    for (int i = 0; i < 3; ++i) {
      team.Run([&](const Worker& worker) {
        const auto start = Clock::now();
        work(worker, times);
        if (worker.rank == 0) least = std::min(least, SecondsSince(start));
      });
    }
    if (least >= seconds / 2) return times;
    times = static_cast<size_t>(static_cast<double>(times) *
                                std::clamp(seconds / std::max(least, 1e-9), 2.0, 100.0));
  }
}

/// A rate for each repetition of work(worker, times), which does `amount` a time; a repetition
/// takes about `seconds`. The calibration has warmed up caches, page tables and clocks.
template <class Work>
std::vector<double> Repeat(Team& team, size_t repetitions, double seconds, double amount,
                           const Work& work) {
  const size_t times = Calibrate(team, seconds, work);
  std::vector<double> rates;
  for (size_t i = 0; i < repetitions; ++i) {
    const double elapsed = TimeTeam(team, [&](const Worker& worker) { work(worker, times); });
    rates.push_back(amount * static_cast<double>(times) / elapsed);
  }
  return rates;
}

class Measurement {
 public:
  explicit Measurement(const MachineOptions& options)
      : options_(options), info_(ReadMachineInfo()), loops_(kernels::PeakLoops()) {
    counts_ = options.quick ? std::vector<size_t>{options.threads} : ThreadCounts(options.threads);
    const size_t levels = options.quick ? 1 : 5;
    steps_ = counts_.size() * (levels + loops_.size());
    limits_.isa = kernels::SelectedIsa();
  }

  MachineLimits Run() {
    {
      Team team(options_.threads);
      const ReadBuffer buffer = Allocate(PageSize::kHuge, team);
      if (!options_.quick) MeasureCaches(buffer);
      for (const size_t threads : counts_) {
        MeasureMemory(buffer, "memory_huge", threads, HugePageProblem(buffer));
      }
    }
    if (!options_.quick) {
      Team team(options_.threads);
      const ReadBuffer buffer = Allocate(PageSize::k4KiB, team);
      for (const size_t threads : counts_) MeasureMemory(buffer, "memory_4k", threads, "");
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

  ReadBuffer Allocate(PageSize page_size, Team& team) const {
    size_t bytes = options_.memory_bytes;
    if (bytes == 0) {
      bytes = std::clamp<size_t>(2 * CacheBytes(3), 512 * kMiB, 1024 * kMiB);
      if (info_.available_bytes > 0) bytes = std::min<size_t>(bytes, info_.available_bytes / 4);
    }
    const double seconds = options_.quick ? 1.5 : 2.5;
    return ReadBuffer(bytes, std::min(bytes, 256 * kMiB), seconds, page_size, team);
  }

  // Why the buffer is no good for "memory_huge"; empty if it is.
  std::string HugePageProblem(const ReadBuffer& buffer) const {
    const size_t huge = buffer.huge_bytes();
    if (huge >= buffer.size() / 10 * 9) return "";
    return fmt::format("{} of {} MiB came in huge pages (transparent_hugepage/enabled: {})",
                       huge / kMiB, buffer.size() / kMiB,
                       info_.huge_pages.empty() ? "unknown" : info_.huge_pages);
  }

  std::vector<double> Read(const ReadBuffer& buffer, size_t bytes, size_t threads, bool prefetch) {
    Team team(threads);
    const size_t slice = bytes / threads / kSliceMultiple * kSliceMultiple;
    return Repeat(team, options_.repetitions, kReadSeconds, static_cast<double>(slice * threads),
                  [&](const Worker& worker, size_t times) {
                    kernels::ReadMemory(buffer.data() + worker.rank * slice, slice, times,
                                        prefetch);
                  });
  }

  // With and without prefetch; the better one is the limit.
  std::vector<double> ReadBestOf(const ReadBuffer& buffer, size_t bytes, size_t threads) {
    auto plain = Read(buffer, bytes, threads, false);
    auto ahead = Read(buffer, bytes, threads, true);
    return Summarise(plain).median >= Summarise(ahead).median ? plain : ahead;
  }

  // Working sets lie between a level and the one before it, at the geometric mean: far from both.
  void MeasureCaches(const ReadBuffer& buffer) {
    const uint64_t l1 = CacheBytes(1), l2 = CacheBytes(2), l3 = CacheBytes(3);
    const auto between = [](uint64_t a, uint64_t b) {
      return static_cast<size_t>(std::sqrt(static_cast<double>(a) * static_cast<double>(b)));
    };
    for (const size_t n : counts_) AddCache(buffer, "L1", n, l1, n * (l1 / 2), 0);
    for (const size_t n : counts_) AddCache(buffer, "L2", n, l2, n * between(l1, l2), n * l1);
    for (const size_t n : counts_) AddCache(buffer, "L3", n, l3, between(n * l2, l3), n * l2);
  }

  void AddCache(const ReadBuffer& buffer, const char* level, size_t threads, uint64_t cache_bytes,
                size_t working_set, uint64_t nearer_bytes) {
    BandwidthLimit limit;
    limit.level = level;
    limit.threads = threads;
    working_set = std::min(working_set, buffer.size());
    if (cache_bytes == 0) {
      limit.reason = "the system tells of no such cache";
    } else if (working_set / threads < kSliceMultiple || working_set < 2 * nearer_bytes) {
      limit.reason =
          fmt::format("too small beside the caches before it ({} KiB)", nearer_bytes / 1024);
    } else {
      limit.working_set_bytes = working_set;
      limit.bytes_s = level[1] == '3' ? ReadBestOf(buffer, working_set, threads)
                                      : Read(buffer, working_set, threads, false);
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
      limit.bytes_s = ReadBestOf(buffer, buffer.size(), threads);
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

  void MeasurePeak(const kernels::PeakLoop& loop, size_t threads) {
    PeakLimit limit;
    limit.unit = loop.unit;
    limit.instruction = loop.instruction;
    limit.threads = threads;
    limit.reason = loop.missing;
    if (loop.run != nullptr) {
      Team team(threads);
      limit.operations_s = Repeat(team, options_.repetitions, kPeakSeconds,
                                  loop.operations * static_cast<double>(threads),
                                  [&](const Worker&, size_t times) { loop.run(times); });
    }
    limits_.peak.push_back(std::move(limit));
    Step();
  }

  const MachineOptions& options_;
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

std::optional<double> MachineLimits::ReadBandwidth(size_t threads) const {
  const auto is_memory = [](const BandwidthLimit& b) { return b.level.starts_with("memory"); };
  const size_t count = NearestCount(bandwidth, threads, is_memory);
  std::optional<double> best;
  for (const BandwidthLimit& limit : bandwidth) {
    if (!limit.measured() || limit.threads != count || !is_memory(limit)) continue;
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

std::vector<size_t> ThreadCounts(size_t threads) {
  std::vector<size_t> counts;
  for (size_t count = 1; count < threads; count *= 2) counts.push_back(count);
  counts.push_back(threads);
  return counts;
}

MachineLimits MeasureMachine(const MachineOptions& options) { return Measurement(options).Run(); }

}  // namespace crossover::bench

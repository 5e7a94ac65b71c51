#include "bench/machine/limit_meter.h"

#include <algorithm>

#include "bench/machine/machine.h"
#include "bench/machine/time_team.h"
#include "kernels/probe.h"

namespace crossover::bench {
namespace {

constexpr size_t kLeastBytes = size_t{256} << 20;
constexpr double kAllocateSeconds = 1.5;
constexpr double kPeakSeconds = 20e-3;
// A slice begins at a page.
constexpr size_t kSliceMultiple = 4096;

ReadBuffer Allocate(kernels::Team& team) {
  const size_t bytes = MemoryWorkingSet(ReadMachineInfo());
  return ReadBuffer(bytes, std::min(bytes, kLeastBytes), kAllocateSeconds, PageSize::kHuge, team);
}

}  // namespace

LimitMeter::LimitMeter(size_t threads) : team_(threads), buffer_(Allocate(team_)) {
  const double plain = Read(false);
  prefetch_ = Read(true) > plain;
}

double LimitMeter::Read(bool prefetch) {
  const size_t slice = buffer_.size() / team_.size() / kSliceMultiple * kSliceMultiple;
  // The first pass is not timed: it finds the caches full of something else, where a model's
  // weights, read token after token, leave a part of themselves in the last one.
  double seconds = 0;
  for (const size_t passes : {1, 2}) {
    seconds = TimeTeam(team_, [&](const kernels::Worker& worker) {
      kernels::ReadMemory(buffer_.data() + worker.rank * slice, slice, passes, prefetch);
    });
  }
  return 2 * static_cast<double>(slice * team_.size()) / seconds;
}

double LimitMeter::ReadBandwidth() { return Read(prefetch_); }

std::optional<double> LimitMeter::Peak(std::string_view unit) {
  for (const kernels::PeakLoop& loop : kernels::PeakLoops()) {
    if (loop.unit != unit || loop.run == nullptr) continue;
    // Not calibrated again each time: as often as took long enough before.
    size_t& times = peak_times_[std::string(unit)];
    const auto run = [&](const kernels::Worker&, size_t n) { loop.run(n); };
    if (times == 0) times = Calibrate(team_, kPeakSeconds, run);
    const double seconds =
        TimeTeam(team_, [&](const kernels::Worker& worker) { run(worker, times); });
    return loop.operations * static_cast<double>(times * team_.size()) / seconds;
  }
  return std::nullopt;
}

}  // namespace crossover::bench

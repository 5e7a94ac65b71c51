#include "bench/machine/load_probe.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "bench/machine/system.h"
#include "bench/machine/usage.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

// What is counted in ticks of 10 ms is compared over at least so long: 50 ticks a CPU.
constexpr double kTickSpan = 0.5;

/// The value behind `key` in lines of "key value".
std::optional<double> ValueOf(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  std::string word;
  for (double value = 0; in >> word >> value;) {
    if (word == key) return value;
  }
  return std::nullopt;
}

/// "cpu3 …" of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; guests' time is
/// in user and nice already.
struct CpuTicks {
  double busy = 0;
  double idle = 0;
  double steal = 0;
};
CpuTicks ParseTicks(std::istringstream& line) {
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  line >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  return {user + nice + system + irq + softirq, idle + iowait, steal};
}

}  // namespace

std::vector<fs::path> QuotaFiles(const fs::path& root) {
  std::vector<fs::path> files;
  for (const auto& [controllers, path] : CpuGroups(root)) {
    fs::path base = root / "sys/fs/cgroup";
    if (!controllers.empty()) {
      base = fs::exists(base / controllers) ? base / controllers : base / "cpu";
    }
    // A container may see its own group as the top, and the host's name for it.
    const fs::path group = fs::path(path).relative_path();
    for (fs::path at = group;; at = at.parent_path()) {
      std::error_code failed;
      const fs::path file = (base / at / "cpu.stat").lexically_normal();
      if (fs::is_regular_file(file, failed)) files.push_back(file);
      if (at.empty()) break;
    }
  }
  return files;
}

LoadProbe::LoadProbe(fs::path root) : root_(std::move(root)), quota_files_(QuotaFiles(root_)) {}

LoadSnapshot LoadProbe::Look() {
  LoadSnapshot snapshot;
  ReadStat(snapshot);
  ReadRunWait(snapshot);
  ReadThrottled(snapshot);
  ReadPressure(snapshot);
  ReadFrequency(snapshot);
  const Usage children = Usage::OfChildren();
  const Usage own = Usage::Now();
  snapshot.own_cpu_s = own.cpu_s + children.cpu_s;
  snapshot.involuntary_switches = own.involuntary_switches;
  snapshot.wall_s = own.wall_s;
  return snapshot;
}

void LoadProbe::ReadStat(LoadSnapshot& snapshot) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const bool have_mask = sched_getaffinity(0, sizeof(mask), &mask) == 0;
  const long hertz = sysconf(_SC_CLK_TCK);
  snapshot.tick_s = 1 / static_cast<double>(hertz > 0 ? hertz : 100);
  CpuTicks sum;
  size_t cpus = 0;
  std::ifstream in(root_ / "proc/stat");
  for (std::string line; std::getline(in, line) && line.starts_with("cpu");) {
    if (line.size() < 4 || line[3] == ' ') continue;  // the sum of all CPUs
    std::istringstream words(line.substr(3));
    size_t cpu = 0;
    if (!(words >> cpu) || (have_mask && (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &mask)))) continue;
    const CpuTicks ticks = ParseTicks(words);
    ++cpus;
    sum.busy += ticks.busy;
    sum.idle += ticks.idle;
    sum.steal += ticks.steal;
  }
  const auto allowed = static_cast<size_t>(have_mask ? CPU_COUNT(&mask) : 1);
  snapshot.cpus = std::max(cpus, std::max<size_t>(allowed, 1));
  if (sum.busy + sum.idle <= 0) {
    unknown_["others"] = cpus == 0 ? "/proc/stat names none of this process's CPUs"
                                   : "/proc/stat counts nothing here";
    unknown_["steal"] = unknown_["others"];
    return;
  }
  snapshot.busy_s = sum.busy * snapshot.tick_s;
  snapshot.steal_s = sum.steal * snapshot.tick_s;
}

void LoadProbe::ReadRunWait(LoadSnapshot& snapshot) {
  std::map<int, double> waits;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root_ / "proc/self/task", failed)) {
    // "time on a CPU, time waiting for one, turns", in nanoseconds.
    double ran = 0;
    double waited = 0;
    std::ifstream in(entry.path() / "schedstat");
    if (!(in >> ran >> waited)) continue;  // the thread may have ended
    waits[std::atoi(entry.path().filename().c_str())] = waited * 1e-9;
  }
  if (waits.empty()) {
    unknown_["run_wait"] = "no /proc/self/task/*/schedstat";
  } else {
    snapshot.run_wait_s = std::move(waits);
  }
}

void LoadProbe::ReadThrottled(LoadSnapshot& snapshot) {
  for (const fs::path& file : quota_files_) {
    auto seconds = ValueOf(file, "throttled_usec");  // version 2
    if (seconds) {
      *seconds *= 1e-6;
    } else if ((seconds = ValueOf(file, "throttled_time"))) {
      *seconds *= 1e-9;
    }
    if (seconds) snapshot.throttled_s = snapshot.throttled_s.value_or(0) + *seconds;
  }
  if (!snapshot.throttled_s) unknown_["throttled"] = "no cgroup tells of a CPU quota";
}

void LoadProbe::ReadPressure(LoadSnapshot& snapshot) {
  std::ifstream in(root_ / "proc/pressure/cpu");
  for (std::string line; std::getline(in, line);) {
    const size_t total = line.find("total=");
    if (!line.starts_with("some") || total == std::string::npos) continue;
    snapshot.pressure_s = std::atof(line.c_str() + total + 6) * 1e-6;
  }
  if (!snapshot.pressure_s) unknown_["pressure"] = "no /proc/pressure/cpu";
}

void LoadProbe::ReadFrequency(LoadSnapshot& snapshot) {
  const int cpu = std::max(sched_getcpu(), 0);
  std::ifstream in(root_ /
                   fmt::format("sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu));
  double khz = 0;
  if (in >> khz && khz > 0) {
    snapshot.mhz = khz / 1000;
  } else {
    unknown_["frequency"] = "no cpufreq in /sys";
  }
}

Watch::Watch(size_t threads, LoadProbe probe) : threads_(threads), probe_(std::move(probe)) {
  Look();
}

LoadSnapshot Watch::Look() {
  looks_.push_back(probe_.Look());
  const double now = looks_.back().wall_s;
  while (looks_.size() > 2 && now - looks_[1].wall_s >= kTickSpan) looks_.pop_front();
  return looks_.back();
}

void Watch::Start() { before_ = Look(); }

Disturbance Watch::Stop() {
  const LoadSnapshot after = Look();
  const LoadSnapshot& earlier = looks_.front().wall_s < before_.wall_s ? looks_.front() : before_;
  return Compare(after.wall_s - before_.wall_s >= kTickSpan ? before_ : earlier, before_, after,
                 threads_);
}

void Watch::Add(const Disturbance& repetition, Conditions& conditions) const {
  conditions.repetitions.push_back(repetition);
  conditions.unknown = probe_.unknown();
  if (repetition.crowded) {
    conditions.unknown["judging run_wait"] = "more threads than CPUs wait for each other";
  }
}

}  // namespace crossover::bench

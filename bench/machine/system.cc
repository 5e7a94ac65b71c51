#include "bench/machine/system.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fstream>
#include <set>
#include <utility>

#include "base/join_path.h"
#include "bench/machine/usable_cpus.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

template <class T>
std::optional<T> ReadValue(const fs::path& path) {
  std::ifstream in(path);
  T value;
  if (in >> value) return value;
  return std::nullopt;
}

/// Distinct cores among the CPUs for which `allowed` holds.
template <class Allowed>
size_t DistinctCores(const fs::path& root, size_t cpus, const Allowed& allowed) {
  std::set<std::pair<int, int>> cores;
  for (size_t cpu = 0; cpu < cpus; ++cpu) {
    if (!allowed(cpu)) continue;
    const fs::path topology =
        JoinPath(root, fmt::format("sys/devices/system/cpu/cpu{}/topology", cpu));
    const auto core = ReadValue<int>(JoinPath(topology, "core_id"));
    const auto package = ReadValue<int>(JoinPath(topology, "physical_package_id"));
    if (core && package) cores.emplace(*package, *core);
  }
  return cores.size();
}

/// "QUOTA PERIOD" in CPUs; nothing if there is no limit.
std::optional<double> Quota(const fs::path& group) {
  double quota = 0;
  double period = 0;
  if (std::ifstream in(JoinPath(group, "cpu.max")); in >> quota >> period) {  // cgroup v2
    if (quota > 0 && period > 0) return quota / period;
    return std::nullopt;
  }
  const auto v1_quota = ReadValue<double>(JoinPath(group, "cpu.cfs_quota_us"));
  const auto v1_period = ReadValue<double>(JoinPath(group, "cpu.cfs_period_us"));
  if (v1_quota && v1_period && *v1_quota > 0 && *v1_period > 0) return *v1_quota / *v1_period;
  return std::nullopt;
}

/// This process's group below the hierarchy's mount, as "/a/b": version 1's if there is one.
std::string GroupPath(const fs::path& root) {
  std::string path;
  for (const CpuGroup& group : CpuGroups(root)) {
    if (!group.controllers.empty() || path.empty()) path = group.path;
  }
  return path;
}

/// The least quota of this process's group and those around it, in whole CPUs, rounded up: spinning
/// threads beyond it would stall each other. Nothing if there is no limit.
std::optional<size_t> QuotaCpus(const fs::path& root) {
  std::optional<double> least;
  for (const char* mount : {"sys/fs/cgroup", "sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"}) {
    for (std::string group = GroupPath(root);;) {
      if (const auto quota = Quota(JoinPath(root, mount).native() + group)) {
        least = std::min(least.value_or(*quota), *quota);
      }
      if (group.empty()) break;
      const size_t slash = group.rfind('/');
      group.resize(slash == std::string::npos ? 0 : slash);
    }
  }
  if (!least) return std::nullopt;
  return static_cast<size_t>(std::ceil(*least));
}

size_t AtLeastOneWithinQuota(const fs::path& root, size_t cores) {
  if (const auto quota = QuotaCpus(root)) cores = std::min(cores, *quota);
  return std::max<size_t>(cores, 1);
}

}  // namespace

size_t PhysicalCores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) {
    return static_cast<size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  }
  const auto allowed = [&](size_t cpu) { return CPU_ISSET(cpu, &mask) != 0; };
  const size_t cores = DistinctCores("/", CPU_SETSIZE, allowed);
  // Some containers hide the topology: every allowed CPU then counts.
  return AtLeastOneWithinQuota("/", cores > 0 ? cores : static_cast<size_t>(CPU_COUNT(&mask)));
}

size_t UsableCpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const bool known = sched_getaffinity(0, sizeof(mask), &mask) == 0;
  const long online = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  return AtLeastOneWithinQuota("/", static_cast<size_t>(known ? CPU_COUNT(&mask) : online));
}

size_t CountCores(const fs::path& root, size_t cpus) {
  const size_t cores = DistinctCores(root, cpus, [](size_t) { return true; });
  return cores == 0 ? 0 : AtLeastOneWithinQuota(root, cores);
}

std::vector<CpuGroup> CpuGroups(const fs::path& root) {
  std::vector<CpuGroup> groups;
  std::ifstream in(JoinPath(root, "proc/self/cgroup"));
  for (std::string line; std::getline(in, line);) {
    // "0::/a/b" is version 2's, "4:cpu,cpuacct:/a/b" one of version 1's hierarchies.
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() &&
        fmt::format(",{},", controllers).find(",cpu,") == std::string::npos) {
      continue;
    }
    groups.push_back({.controllers = controllers, .path = line.substr(second + 1)});
  }
  return groups;
}

std::string CpuName() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) != 0 && line.rfind("Model\t", 0) != 0) continue;
    const size_t colon = line.find(':');
    if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

uint64_t MemoryBytes() {
  const auto pages = sysconf(_SC_PHYS_PAGES);
  const auto page = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
}

std::optional<uint64_t> PeakRssBytes() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;) {
    uint64_t kib = 0;
    if (word == "VmHWM:" && in >> kib) return kib * 1024;
  }
  return std::nullopt;
}

bool ResetPeakRss() {
  std::ofstream out("/proc/self/clear_refs");
  out << "5\n";
  out.flush();
  return out.good();
}

std::string UtcTimestamp() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

}  // namespace crossover::bench

// What the operating system says of the machine and the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace crossover::bench {

/// Physical cores that this process may use: distinct (package, core) pairs of the CPUs in its
/// affinity mask, at most the cgroup's CPU quota. At least 1.
size_t PhysicalCores();

/// The same from another root than "/" and for CPUs 0 … cpus - 1; 0 where the topology is missing.
size_t CountCores(const std::filesystem::path& root, size_t cpus);

/// This process's group in a hierarchy of control groups that minds CPU time.
struct CpuGroup {
  std::string controllers = {};  // "cpu,cpuacct" of version 1; empty: version 2
  std::string path = {};         // in the hierarchy, "/a/b"
};
/// In the order of /proc/self/cgroup. `root`: "/" outside tests.
std::vector<CpuGroup> CpuGroups(const std::filesystem::path& root);

/// "model name" of /proc/cpuinfo, or "unknown".
std::string CpuName();

/// This machine's name; empty if it has none.
std::string HostName();

/// Bytes of RAM; 0 if unknown.
uint64_t MemoryBytes();

/// Largest resident size of this process so far (VmHWM), or nothing where /proc does not tell.
/// Unlike getrusage's, it starts again at exec, so that a child does not inherit its parent's.
std::optional<uint64_t> PeakRssBytes();

/// Makes the next PeakRssBytes() count from now on; false where the kernel has no clear_refs.
bool ResetPeakRss();

/// Now, "2026-11-21T09:30:00Z".
std::string UtcTimestamp();

}  // namespace crossover::bench

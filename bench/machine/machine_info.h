// What the machine says of itself: caches and memory as /sys and /proc tell them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace crossover::bench {

struct CacheInfo {
  int level = 0;       // 1, 2, 3
  std::string type;    // "Data", "Unified"; instruction caches are left out
  uint64_t bytes = 0;  // one instance's
  size_t sharers = 0;  // CPUs that share an instance; 0 if unknown
};

struct MachineInfo {
  std::string cpu;                // as /proc/cpuinfo names it
  size_t cores = 0;               // physical ones that this process may use
  uint64_t memory_bytes = 0;      // 0 if unknown
  uint64_t available_bytes = 0;   // what new allocations may take; 0 if unknown
  std::vector<CacheInfo> caches;  // of the first CPU, nearest first; empty if unknown
  std::string huge_pages;  // the word in transparent_hugepage/enabled: "always", "madvise", "never"

  /// The data or unified cache of that level; null if there is none or it is unknown.
  const CacheInfo* FindCache(int level) const;
};

MachineInfo ReadMachineInfo();

/// The parts that are files, under another root than "/"; what is missing stays empty.
std::vector<CacheInfo> ReadCaches(const std::filesystem::path& root);
std::string ReadHugePageMode(const std::filesystem::path& root);

}  // namespace crossover::bench

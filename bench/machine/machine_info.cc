#include "bench/machine/machine_info.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bench/machine/system.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

std::string FirstLine(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// "0-3,8" has 5 CPUs; 0 if it is not such a list.
size_t CountCpus(const std::string& list) {
  size_t count = 0;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) {
    size_t first = 0, last = 0;
    char dash = 0;
    std::istringstream range(part);
    if (!(range >> first)) return 0;
    last = range >> dash >> last ? last : first;
    if (last < first) return 0;
    count += last - first + 1;
  }
  return count;
}

// Where /sys hides the caches, the C library may still know them (by CPUID).
std::vector<CacheInfo> CachesOfSysconf() {
  std::vector<CacheInfo> caches;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  const std::pair<int, int> names[] = {
      {1, _SC_LEVEL1_DCACHE_SIZE}, {2, _SC_LEVEL2_CACHE_SIZE}, {3, _SC_LEVEL3_CACHE_SIZE}};
  for (const auto& [level, name] : names) {
    const long bytes = sysconf(name);
    if (bytes > 0) {
      caches.push_back({level, level == 1 ? "Data" : "Unified", static_cast<uint64_t>(bytes), 0});
    }
  }
#endif
  return caches;
}

uint64_t AvailableBytes() {
  std::ifstream in("/proc/meminfo");
  for (std::string word; in >> word;) {
    uint64_t kib = 0;
    if (word == "MemAvailable:" && in >> kib) return kib * 1024;
  }
  return 0;
}

}  // namespace

std::vector<CacheInfo> ReadCaches(const fs::path& root) {
  std::vector<CacheInfo> caches;
  for (int index = 0;; ++index) {
    const fs::path folder = root / fmt::format("sys/devices/system/cpu/cpu0/cache/index{}", index);
    CacheInfo cache;
    std::ifstream size(folder / "size"), level(folder / "level");
    uint64_t kib = 0;  // "48K": Linux always counts in KiB here
    if (!(size >> kib) || !(level >> cache.level)) break;
    cache.type = FirstLine(folder / "type");
    cache.bytes = kib * 1024;
    cache.sharers = CountCpus(FirstLine(folder / "shared_cpu_list"));
    if (cache.type != "Instruction" && cache.bytes > 0) caches.push_back(std::move(cache));
  }
  std::stable_sort(caches.begin(), caches.end(),
                   [](const CacheInfo& a, const CacheInfo& b) { return a.level < b.level; });
  return caches;
}

std::string ReadHugePageMode(const fs::path& root) {
  // "always [madvise] never": the one in brackets holds.
  const std::string line = FirstLine(root / "sys/kernel/mm/transparent_hugepage/enabled");
  const size_t open = line.find('['), close = line.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return "";
  return line.substr(open + 1, close - open - 1);
}

const CacheInfo* MachineInfo::FindCache(int level) const {
  for (const CacheInfo& cache : caches) {
    if (cache.level == level) return &cache;
  }
  return nullptr;
}

MachineInfo ReadMachineInfo() {
  MachineInfo info;
  info.cpu = CpuName();
  info.cores = PhysicalCores();
  info.memory_bytes = MemoryBytes();
  info.available_bytes = AvailableBytes();
  info.caches = ReadCaches("/");
  if (info.caches.empty()) info.caches = CachesOfSysconf();
  info.huge_pages = ReadHugePageMode("/");
  return info;
}

}  // namespace crossover::bench

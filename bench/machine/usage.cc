#include "bench/machine/usage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// The part of a file's pages that are in memory.
std::optional<double> ResidentPart(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0 || status.st_size == 0) return std::nullopt;
  const auto bytes = static_cast<size_t>(status.st_size);
  void* mapping = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) return std::nullopt;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  const bool told = mincore(mapping, bytes, pages.data()) == 0;
  munmap(mapping, bytes);
  if (!told) return std::nullopt;
  size_t resident = 0;
  for (const unsigned char p : pages) resident += p & 1;
  return static_cast<double>(resident) / static_cast<double>(pages.size());
}

Usage Read(int whose) {
  rusage usage{};
  getrusage(whose, &usage);
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return {.wall_s = std::chrono::duration<double>(now).count(),
          .cpu_s = Seconds(usage.ru_utime) + Seconds(usage.ru_stime),
          .minor_faults = static_cast<uint64_t>(usage.ru_minflt),
          .major_faults = static_cast<uint64_t>(usage.ru_majflt),
          .voluntary_switches = static_cast<uint64_t>(usage.ru_nvcsw),
          .involuntary_switches = static_cast<uint64_t>(usage.ru_nivcsw)};
}

}  // namespace

Usage Usage::Now() { return Read(RUSAGE_SELF); }

Usage Usage::OfChildren() { return Read(RUSAGE_CHILDREN); }

Usage Usage::Since(const Usage& start) const {
  return {.wall_s = wall_s - start.wall_s,
          .cpu_s = cpu_s - start.cpu_s,
          .minor_faults = minor_faults - start.minor_faults,
          .major_faults = major_faults - start.major_faults,
          .voluntary_switches = voluntary_switches - start.voluntary_switches,
          .involuntary_switches = involuntary_switches - start.involuntary_switches};
}

Usage& Usage::operator+=(const Usage& other) {
  wall_s += other.wall_s;
  cpu_s += other.cpu_s;
  minor_faults += other.minor_faults;
  major_faults += other.major_faults;
  voluntary_switches += other.voluntary_switches;
  involuntary_switches += other.involuntary_switches;
  return *this;
}

double Usage::Utilisation(size_t threads) const {
  const double had = wall_s * static_cast<double>(threads);
  return had > 0 ? cpu_s / had : 0;
}

void to_json(nlohmann::json& json, const Usage& usage) {
  json = {{"wall_s", usage.wall_s},
          {"cpu_s", usage.cpu_s},
          {"minor_faults", usage.minor_faults},
          {"major_faults", usage.major_faults},
          {"voluntary_switches", usage.voluntary_switches},
          {"involuntary_switches", usage.involuntary_switches}};
}

std::optional<uint64_t> MappedRssBytes(const fs::path& file, const fs::path& smaps) {
  std::ifstream in(smaps);
  if (!in) return std::nullopt;
  std::error_code failed;
  const std::string name = fs::weakly_canonical(file, failed).string();
  bool inside = false;
  uint64_t bytes = 0;
  for (std::string line; std::getline(in, line);) {
    uint64_t kib = 0;
    if (line.starts_with("Rss:")) {
      std::istringstream(line.substr(4)) >> kib;
      if (inside) bytes += kib * 1024;
    } else if (line.find('-') < line.find(' ')) {
      // "7f00-7f80 r--p 00000000 fe:00 1234   /path" begins a mapping.
      inside = line.ends_with(" " + name);
    }
  }
  return bytes;
}

std::optional<uint64_t> RssBytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  if (!(in >> size >> resident)) return std::nullopt;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::optional<double> DropFromPageCache(const fs::path& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    throw Error(ErrorCode::kIo, fmt::format("{}: {}", file.string(), std::strerror(errno)));
  }
  fdatasync(fd);  // what is not on the disk yet cannot be dropped
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  const auto part = ResidentPart(fd);
  close(fd);
  return part;
}

Frequency ReadFrequency(const fs::path& root) {
  const fs::path scaling = root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq";
  double khz = 0;
  if (std::ifstream(scaling) >> khz && khz > 0) return {khz / 1000, "cpufreq"};
  std::ifstream in(root / "proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("cpu MHz")) continue;
    const size_t colon = line.find(':');
    double mhz = 0;
    if (colon != std::string::npos && std::istringstream(line.substr(colon + 1)) >> mhz &&
        mhz > 0) {
      return {mhz, "/proc/cpuinfo, which in a virtual machine may be nominal"};
    }
  }
  return {0, "neither cpufreq nor /proc/cpuinfo tells"};
}

}  // namespace crossover::bench

// What the operating system counts of a process: time, page faults, context switches, memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace crossover::bench {

/// Of this process, all its threads.
struct Usage {
  double wall_s = 0;
  double cpu_s = 0;  // user and system
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;  // those that waited for a disk
  uint64_t voluntary_switches = 0;
  uint64_t involuntary_switches = 0;

  static Usage Now();
  /// Of the children that it has waited for, together; of the time that has passed, as Now.
  static Usage OfChildren();
  Usage Since(const Usage& start) const;
  Usage& operator+=(const Usage& other);
  /// CPU time of the time that `threads` had.
  double Utilisation(size_t threads) const;
};

void to_json(nlohmann::json& json, const Usage& usage);

/// Bytes of a file that this process has in memory through its mappings (Rss in smaps), or nothing
/// where /proc does not tell. `smaps`: for tests.
std::optional<uint64_t> MappedRssBytes(const std::filesystem::path& file,
                                       const std::filesystem::path& smaps = "/proc/self/smaps");
/// What is in memory of this process now (VmRSS).
std::optional<uint64_t> RssBytes();

/// Asks the system to forget a file's pages, and says what part of them (0 to 1) it still has:
/// pages that a process has mapped stay, and some file systems keep all. Nothing where it cannot be
/// told. Error(kIo) if the file cannot be opened.
std::optional<double> DropFromPageCache(const std::filesystem::path& file);

/// The clock of the first CPU, with where it was read; `mhz` 0: unknown, and why.
struct Frequency {
  double mhz = 0;
  std::string source = {};
};
Frequency ReadFrequency(const std::filesystem::path& root = "/");

}  // namespace crossover::bench

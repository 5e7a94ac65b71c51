// The machine's limits in a file, so that asking for them again costs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "bench/machine/machine.h"

namespace crossover::bench {

/// All that the figures depend on, as far as it can be named.
struct MachineKey {
  std::string cpu = {};
  std::string isa = {};
  std::string version = {};  // of the program, and what its file holds
  size_t cores = 0;
  uint64_t memory_bytes = 0;
  size_t threads = 0;
  size_t repetitions = 0;
  bool quick = false;
};

MachineKey ThisMachine(const std::string& version, size_t threads, size_t repetitions, bool quick);

/// machine-HASH.json under $XDG_CACHE_HOME/crossover, else $HOME/.cache/crossover; empty if neither
/// is set.
std::filesystem::path MachineCachePath(const std::string& xdg_cache_home, const std::string& home,
                                       const MachineKey& key);

/// Nothing if there is no such file, it is damaged, or it was written under another key.
std::optional<MachineLimits> ReadMachineCache(const std::filesystem::path& file,
                                              const MachineKey& key);
/// Writes a temporary file and renames it. Error(kIo); std::filesystem::filesystem_error.
void WriteMachineCache(const std::filesystem::path& file, const MachineKey& key,
                       const MachineLimits& limits);

}  // namespace crossover::bench

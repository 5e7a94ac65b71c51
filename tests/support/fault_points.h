// Which of many points at which something may fail are tried.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace crossover::test {

/// So many points of a kind are tried: CROSSOVER_FAULT_POINTS, or else `usual`.
size_t PointsAsked(size_t usual);

/// The first third of `most` in a row, the rest evenly over the `count` there are, the last with
/// them.
std::vector<uint64_t> Points(uint64_t count, uint64_t most);

/// What the shim (fault_shim.cc) wrote into the file that CROSSOVER_FAULT_COUNT names: how often
/// each kind was called.
std::map<std::string, uint64_t> ReadCounts(const std::filesystem::path& path);

}  // namespace crossover::test

// Sums over a text as far as it was read, in a file: what a killed run goes on from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace crossover::engine {

struct SumsCheckpoint {
  std::string identity;  // of what is summed, and over what
  size_t chunks = 0;     // read so far
  std::vector<std::vector<double>> sums;
};

/// The file appears whole or not at all. Error(kIo).
void SaveCheckpoint(const std::filesystem::path& path, const SumsCheckpoint& state);

/// Fills `state` from the file if it is one of the same identity and shapes, of at most
/// `most_chunks`; leaves it alone otherwise.
void LoadCheckpoint(const std::filesystem::path& path, size_t most_chunks, SumsCheckpoint& state);

}  // namespace crossover::engine

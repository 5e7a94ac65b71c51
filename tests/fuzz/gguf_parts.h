// A GGUF file taken apart into what a fuzzer changes (gguf_mutator.cc), by code that shares nothing
// with the reader under test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crossover::test {

inline constexpr uint32_t kGgufString = 8;
inline constexpr uint32_t kGgufArray = 9;

// What a block of each weight format holds and takes; 0 for ids without a format.
struct GgufBlock {
  uint32_t type, weights, bytes;
};
inline constexpr auto kGgufBlocks = std::to_array<GgufBlock>({{0, 1, 4},
                                                              {1, 1, 2},
                                                              {2, 32, 18},
                                                              {3, 32, 20},
                                                              {6, 32, 22},
                                                              {7, 32, 24},
                                                              {8, 32, 34},
                                                              {10, 256, 84},
                                                              {11, 256, 110},
                                                              {12, 256, 144},
                                                              {13, 256, 176},
                                                              {14, 256, 210},
                                                              {20, 32, 18},
                                                              {23, 256, 136},
                                                              {30, 1, 2}});

struct GgufEntry {
  std::string key;
  uint32_t type = 0;
  uint32_t element = 0;            // of an array
  std::vector<std::string> items;  // its elements, or the one value
};

struct GgufPart {
  std::string name;
  std::vector<uint64_t> shape;
  uint32_t type = 0;
  std::string data;
};

struct GgufParts {
  uint32_t version = 3;
  std::vector<GgufEntry> entries;
  std::vector<GgufPart> tensors;
};

/// nullopt if the bytes are no GGUF file.
std::optional<GgufParts> TakeApart(const uint8_t* data, size_t size);

/// Counts, lengths, offsets and padding come out right, whatever the parts are.
std::string PutTogether(const GgufParts& parts);

}  // namespace crossover::test

// An array of a GGUF file's metadata as it lies in the file: millions of elements cost nothing
// until somebody asks for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/files/mapped_file.h"

namespace crossover::engine {

struct GgufValue;

/// Elements of the owning GgufValue's `element` type, one behind the other; strings each with a u64
/// length before them. Checked by the reader: whole, and bools 0 or 1.
struct GgufArray {
  uint64_t count = 0;
  std::span<const std::byte> bytes{};
  std::shared_ptr<const MappedFile> file{};

  bool operator==(const GgufArray& other) const;  // of the same type: by content
};

/// Elements of an array in either form; 0 if the value is none.
uint64_t ArrayCount(const GgufValue& value);

// Copies of the first `most` elements, nullopt if the value is no array of that kind. They take up
// to eight times the file's bytes, so compare ArrayCount with what is due first.
constexpr uint64_t kAllElements = UINT64_MAX;
std::optional<std::vector<int64_t>> ReadIntegers(const GgufValue& value,  // bools too
                                                 uint64_t most = kAllElements);
std::optional<std::vector<double>> ReadNumbers(const GgufValue& value,  // floats or integers
                                               uint64_t most = kAllElements);
std::optional<std::vector<std::string>> ReadStrings(const GgufValue& value,
                                                    uint64_t most = kAllElements);

}  // namespace crossover::engine

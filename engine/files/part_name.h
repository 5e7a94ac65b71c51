// Names of a split model's parts: NAME-00001-of-00003.gguf.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace crossover::engine {

constexpr size_t kPartDigits = 5;
constexpr uint64_t kMaxParts = 99999;  // what the five digits of the name hold

struct PartName {
  std::filesystem::path prefix;
  uint64_t number = 0;  // from 1
  uint64_t count = 0;

  std::filesystem::path Sibling(uint64_t i) const {
    return prefix.string() + fmt::format("-{:05}-of-{:05}.gguf", i, count);
  }
};

inline std::optional<uint64_t> ParseDigits(std::string_view text) {
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

inline std::optional<PartName> ParsePartName(const std::string& path) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = std::string_view(path).substr(path.size() - kPattern.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") {
    return std::nullopt;
  }
  const auto number = ParseDigits(tail.substr(1, kPartDigits));
  const auto count = ParseDigits(tail.substr(10, kPartDigits));
  if (!number || !count) return std::nullopt;
  return PartName{path.substr(0, path.size() - kPattern.size()), *number, *count};
}

}  // namespace crossover::engine

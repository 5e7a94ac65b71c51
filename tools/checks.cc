#include "tools/checks.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

namespace crossover::tools {

WordCheck NumberFrom(double low, double high) {
  return [low, high](const std::string& word) -> std::string {
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    const bool whole_word = !word.empty() && end == word.c_str() + word.size();
    if (whole_word && std::isfinite(value) && value >= low && value <= high) return "";
    return fmt::format("'{}' is no number from {} to {}", word, low, high);
  };
}

WordCheck WholeFrom(uint64_t low, uint64_t high) {
  return [low, high](const std::string& word) -> std::string {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool whole_word = !word.empty() && end == word.data() + word.size();
    if (whole_word && error == std::errc() && value >= low && value <= high) return "";
    return fmt::format("'{}' is no whole number from {} to {}", word, low, high);
  };
}

}  // namespace crossover::tools

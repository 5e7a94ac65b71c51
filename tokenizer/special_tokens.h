// Finds the tokens that a tokenizer takes out of the text before it looks at words: control tokens
// such as <|eot_id|>, and user-defined ones.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace crossover::tokenizer {

class SpecialTokens {
 public:
  struct Entry {
    std::string_view text;  // not empty; must outlive this object
    int32_t id;
  };
  explicit SpecialTokens(std::vector<Entry> entries);

  struct Match {
    size_t begin, end;
    int32_t id;
  };
  /// The first match at or behind `offset`; of those that begin there, the longest.
  std::optional<Match> Find(std::string_view text, size_t offset) const;

 private:
  std::optional<Match> MatchAt(std::string_view text, size_t offset) const;

  std::vector<Entry> entries_;  // sorted by text
  // Entries that begin with a byte: [first, second).
  std::array<std::pair<uint32_t, uint32_t>, 256> ranges_{};
};

}  // namespace crossover::tokenizer

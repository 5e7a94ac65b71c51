// Finds the tokens that a tokenizer takes out of the text before it looks at words: control tokens
// such as <|eot_id|>, and user-defined ones.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>
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

  /// The longest entry that begins another one, and a longer way along these: as far as makes every
  /// way short (Myers 1983, "An applicative random-access stack").
  struct Shorter {
    uint32_t entry, jump;
    uint32_t depth;  // how many there are
  };

  std::vector<Entry> entries_;    // sorted by text
  std::vector<Shorter> shorter_;  // of each entry, and at last of none
  // Two bytes with which one may begin: nearly all places in a text are passed over by these.
  std::bitset<256 * 256> pairs_;
};

}  // namespace crossover::tokenizer

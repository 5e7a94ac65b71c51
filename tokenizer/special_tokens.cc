#include "tokenizer/special_tokens.h"

#include <algorithm>

namespace crossover::tokenizer {

SpecialTokens::SpecialTokens(std::vector<Entry> entries) : entries_(std::move(entries)) {
  std::ranges::sort(entries_, {}, &Entry::text);
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    auto& range = ranges_[static_cast<uint8_t>(entries_[i].text[0])];
    if (range.second == 0) range.first = i;
    range.second = i + 1;
  }
}

std::optional<SpecialTokens::Match> SpecialTokens::Find(std::string_view text,
                                                        size_t offset) const {
  if (entries_.empty()) return std::nullopt;
  for (; offset < text.size(); ++offset) {
    if (ranges_[static_cast<uint8_t>(text[offset])].second == 0) continue;
    if (const auto match = MatchAt(text, offset)) return match;
  }
  return std::nullopt;
}

// Narrows the sorted entries to those that agree with the text in one more byte, as a trie would:
// O(token length · log entries) with no memory beyond the list.
std::optional<SpecialTokens::Match> SpecialTokens::MatchAt(std::string_view text,
                                                           size_t offset) const {
  std::optional<Match> longest;
  const auto range = ranges_[static_cast<uint8_t>(text[offset])];
  auto begin = entries_.begin() + range.first;
  auto end = entries_.begin() + range.second;
  for (size_t depth = 1; begin != end; ++depth) {
    // The shortest of those that share a prefix sorts first.
    if (begin->text.size() == depth) {
      longest = Match{offset, offset + depth, begin->id};
      ++begin;
    }
    if (offset + depth == text.size()) break;
    const auto byte = static_cast<uint8_t>(text[offset + depth]);
    const auto at_depth = [depth](const Entry& entry) {
      return static_cast<uint8_t>(entry.text[depth]);
    };
    begin = std::ranges::lower_bound(begin, end, byte, {}, at_depth);
    end = std::ranges::upper_bound(begin, end, byte, {}, at_depth);
  }
  return longest;
}

}  // namespace crossover::tokenizer

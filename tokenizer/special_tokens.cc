#include "tokenizer/special_tokens.h"

#include <algorithm>

namespace crossover::tokenizer {
namespace {

// Two bytes as a number; 0 stands for what is behind the end.
size_t PairAt(std::string_view text, size_t offset) {
  const size_t second = offset + 1 < text.size() ? static_cast<uint8_t>(text[offset + 1]) : 0;
  return size_t{static_cast<uint8_t>(text[offset])} << 8 | second;
}

}  // namespace

SpecialTokens::SpecialTokens(std::vector<Entry> entries) : entries_(std::move(entries)) {
  std::ranges::sort(entries_, {}, &Entry::text);
  for (const Entry& entry : entries_) {
    const size_t pair = PairAt(entry.text, 0);
    pairs_.set(pair);
    for (size_t any = 0; entry.text.size() == 1 && any < 256; ++any) pairs_.set(pair | any);
  }
  const auto none = static_cast<uint32_t>(entries_.size());
  shorter_.resize(entries_.size() + 1, {none, none, 0});
  uint32_t above = none;
  for (uint32_t i = 0; i < none; above = i++) {
    while (above != none && !entries_[i].text.starts_with(entries_[above].text)) {
      above = shorter_[above].entry;
    }
    const Shorter& via = shorter_[above];
    const Shorter& beyond = shorter_[via.jump];
    const bool equal_ways = via.depth - beyond.depth == beyond.depth - shorter_[beyond.jump].depth;
    shorter_[i] = {above, equal_ways ? beyond.jump : above, via.depth + 1};
  }
}

std::optional<SpecialTokens::Match> SpecialTokens::Find(std::string_view text,
                                                        size_t offset) const {
  if (entries_.empty()) return std::nullopt;
  for (; offset < text.size(); ++offset) {
    if (!pairs_[PairAt(text, offset)]) continue;
    if (const auto match = MatchAt(text, offset)) return match;
  }
  return std::nullopt;
}

// What begins the text stands before it in the order, and what stands between the two begins with
// it. So the longest is the last entry before the text, or else the longest of those that begin
// that entry and are no longer than what the two have in common. Comparing a few entries with the
// text is all that takes time, whatever tokens a file has: O(token length · log entries).
std::optional<SpecialTokens::Match> SpecialTokens::MatchAt(std::string_view text,
                                                           size_t offset) const {
  const std::string_view rest = text.substr(offset);
  const auto behind = std::ranges::upper_bound(entries_, rest, {}, &Entry::text);
  if (behind == entries_.begin()) return std::nullopt;
  const std::string_view last = std::prev(behind)->text;
  const auto common = static_cast<size_t>(std::ranges::mismatch(last, rest).in1 - last.begin());
  const auto too_long = [&](uint32_t i) {
    return i != entries_.size() && entries_[i].text.size() > common;
  };
  auto i = static_cast<uint32_t>(behind - entries_.begin() - 1);
  while (too_long(i)) i = too_long(shorter_[i].jump) ? shorter_[i].jump : shorter_[i].entry;
  if (i == entries_.size()) return std::nullopt;
  return Match{offset, offset + entries_[i].text.size(), entries_[i].id};
}

}  // namespace crossover::tokenizer

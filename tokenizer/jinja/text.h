// Python's text functions, on UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

/// The character that begins at `offset`; a byte that belongs to none stands alone.
std::string_view CharacterAt(std::string_view text, size_t offset);
/// Of one such character; kNoCharacter of a byte that belongs to none.
char32_t CodePoint(std::string_view character);
inline constexpr auto kNoCharacter = static_cast<char32_t>(-1);
size_t CountCharacters(Budget& budget, std::string_view text);

/// Where each character of a text begins, and where the last one ends.
struct CharacterOffsets {
  CharacterOffsets(Budget& budget, std::string_view text);
  std::vector<uint32_t> offsets;
  Reservation memory;

  size_t size() const { return offsets.size() - 1; }
  std::string_view Get(std::string_view text, size_t i) const {
    return text.substr(offsets[i], offsets[i + 1] - offsets[i]);
  }
};

/// Which ends of a text are stripped.
enum class Ends { kBoth, kLeft, kRight };

/// Removes white space (Unicode's) from the ends.
std::string_view StripSpace(Budget& budget, std::string_view text, Ends ends);
/// Removes any of `characters` from the ends.
std::string_view Strip(Budget& budget, std::string_view text, std::string_view characters,
                       Ends ends);

/// The place of `part` (not empty) in the text from `from` on, or npos. The time is in proportion
/// to the length of both.
size_t Find(Budget& budget, std::string_view text, std::string_view part, size_t from = 0);

/// A list of the parts between `separator` (not empty), at most `limit` times cut.
Value Split(Budget& budget, std::string_view text, std::string_view separator, size_t limit);
/// At runs of white space, which are dropped.
Value SplitAtSpace(Budget& budget, std::string_view text);

/// At most `limit` occurrences of `from`. Error(kUnsupported) if that is empty.
Value Replace(Budget& budget, std::string_view text, std::string_view from, std::string_view to,
              size_t limit);

Value Upper(Budget& budget, std::string_view text);
Value Lower(Budget& budget, std::string_view text);
/// The first letter of the text, or of each word, in upper case; the others in lower case.
Value Capitalize(Budget& budget, std::string_view text);
Value Title(Budget& budget, std::string_view text);

/// A text of the template for a message: not more than `most` bytes of it.
std::string Shortened(std::string_view text, size_t most = 40);

}  // namespace crossover::tokenizer::jinja

// Where the next character of a text ends, and whether it is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace crossover::tokenizer {

/// Bytes of the well-formed UTF-8 character that begins at `offset`, or 0: a stray continuation, a
/// cut sequence, an overlong form, a surrogate or a value above U+10FFFF. offset < text.size().
size_t Utf8Length(std::string_view text, size_t offset);

/// The end of the longest well-formed run that begins at `offset`.
size_t Utf8RunEnd(std::string_view text, size_t offset);

/// Bytes at the end of the text that begin a character which more bytes could complete.
size_t Utf8CutTail(std::string_view text);

/// Whether texts have it: not so most control characters, what begins no character, and what begins
/// those of planes that hold none.
constexpr bool IsByteOfText(uint8_t byte) {
  if (byte < 0x20) return byte == '\t' || byte == '\n' || byte == '\r';
  return byte != 0x7F && byte != 0xC0 && byte != 0xC1 && byte <= 0xF0;
}

/// With every byte that belongs to no character replaced by U+FFFD.
std::string Utf8Repaired(std::string_view text);

}  // namespace crossover::tokenizer

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

/// With every byte that belongs to no character replaced by U+FFFD.
std::string Utf8Repaired(std::string_view text);

}  // namespace crossover::tokenizer

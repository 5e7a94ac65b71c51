// GPT-2's alphabet: every byte has one printable character, so that a byte-level vocabulary can be
// written as text. Printable Latin-1 bytes stand for themselves, the other 68 for U+0100 and up in
// order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossover::tokenizer {

/// The character (UTF-8, one or two bytes) that stands for `byte`.
std::string ByteLevelText(uint8_t byte);

/// Appends the bytes that `text` stands for. False, and `bytes` unchanged, if a character of it is
/// outside the alphabet.
bool AppendByteLevelBytes(std::string_view text, std::string& bytes);

}  // namespace crossover::tokenizer

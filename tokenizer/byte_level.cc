#include "tokenizer/byte_level.h"

#include <array>

namespace crossover::tokenizer {
namespace {

constexpr uint16_t kFirstSubstitute = 0x100;
constexpr size_t kSubstitutes = 68;

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

constexpr auto kCharacterOfByte = [] {
  std::array<uint16_t, 256> table{};
  uint16_t next = kFirstSubstitute;
  for (int byte = 0; byte < 256; ++byte) {
    table[byte] = StandsForItself(byte) ? static_cast<uint16_t>(byte) : next++;
  }
  return table;
}();

constexpr auto kByteOfCharacter = [] {
  std::array<int16_t, kFirstSubstitute + kSubstitutes> table{};
  for (int16_t& byte : table) byte = -1;
  for (int16_t byte = 0; byte < 256; ++byte) table[kCharacterOfByte[byte]] = byte;
  return table;
}();

}  // namespace

std::string ByteLevelText(uint8_t byte) {
  const uint16_t character = kCharacterOfByte[byte];
  if (character < 0x80) return std::string(1, static_cast<char>(character));
  return {static_cast<char>(0xC0 | (character >> 6)), static_cast<char>(0x80 | (character & 0x3F))};
}

bool AppendByteLevelBytes(std::string_view text, std::string& bytes) {
  const size_t before = bytes.size();
  for (size_t i = 0; i < text.size(); ++i) {
    // The alphabet ends at U+0143: one byte of UTF-8, or two that begin with C2 to C5.
    const auto lead = static_cast<uint8_t>(text[i]);
    size_t character = lead;
    if (lead >= 0x80) {
      const bool pair =
          lead >= 0xC2 && lead <= 0xC5 && i + 1 < text.size() && (text[i + 1] & 0xC0) == 0x80;
      character = pair ? (lead & 0x1Fu) << 6 | (text[++i] & 0x3Fu) : kByteOfCharacter.size();
    }
    if (character >= kByteOfCharacter.size() || kByteOfCharacter[character] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(kByteOfCharacter[character]));
  }
  return true;
}

}  // namespace crossover::tokenizer

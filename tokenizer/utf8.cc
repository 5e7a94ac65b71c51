#include "tokenizer/utf8.h"

#include <algorithm>
#include <cstring>

#include "base/visible_text.h"

namespace crossover::tokenizer {

size_t Utf8Length(std::string_view text, size_t offset) {
  if (static_cast<uint8_t>(text[offset]) < 0x80) return 1;
  return Utf8Bytes(text.substr(offset));
}

size_t Utf8RunEnd(std::string_view text, size_t offset) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  while (offset < text.size()) {
    // Eight ASCII bytes at once.
    while (offset + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + offset, 8);
      if ((word & kHighBits) != 0) break;
      offset += 8;
    }
    if (offset == text.size()) break;
    const size_t length = Utf8Length(text, offset);
    if (length == 0) break;
    offset += length;
  }
  return offset;
}

size_t Utf8CutTail(std::string_view text) {
  constexpr size_t kLongest = 4;
  for (size_t tail = std::min(kLongest - 1, text.size()); tail > 0; --tail) {
    const std::string begin(text.substr(text.size() - tail));
    // Only the second byte of a character has narrower bounds than these, on either side.
    for (const char fill : {'\x80', '\xBF'}) {
      if (Utf8Length(begin + std::string(kLongest - tail, fill), 0) > tail) return tail;
    }
  }
  return 0;
}

std::string Utf8Repaired(std::string_view text) {
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = Utf8RunEnd(text, begin);
    out += text.substr(begin, end - begin);
    if (end < text.size()) out += "\uFFFD";
    begin = end + 1;
  }
  return out;
}

}  // namespace crossover::tokenizer

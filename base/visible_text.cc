#include "base/visible_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

namespace crossover {
namespace {

struct Character {
  utf8proc_int32_t code = -1;  // -1: the byte belongs to no character
  size_t bytes = 1;
};

Character First(std::string_view text) {
  const std::string_view begin = text.substr(0, 4);
  Character first;
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(begin.data()),
                       static_cast<utf8proc_ssize_t>(begin.size()), &first.code);
  return length > 0 ? Character{first.code, static_cast<size_t>(length)} : Character{};
}

bool IsHidden(utf8proc_int32_t code) {
  constexpr utf8proc_int32_t kNonJoiner = 0x200C, kJoiner = 0x200D;  // Persian and emoji need them
  if (code == kNonJoiner || code == kJoiner) return false;
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return false;
  }
}

std::string Visible(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = First(text);
    const bool kept_blank = keep_lines && (c.code == '\n' || c.code == '\t');
    if (c.code < 0 || (c.code < 0x80 && IsHidden(c.code) && !kept_blank)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (kept_blank || !IsHidden(c.code)) {
      out += text.substr(0, c.bytes);
    } else {
      out += c.code < 0x10000 ? fmt::format("\\u{:04x}", c.code) : fmt::format("\\U{:08x}", c.code);
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

}  // namespace

std::string VisibleText(std::string_view text) { return Visible(text, false); }

std::string VisibleLines(std::string_view text) { return Visible(text, true); }

std::string QuotedText(std::string_view text, size_t most) {
  if (text.size() <= most) return fmt::format("'{}'", VisibleText(text));
  size_t kept = most;
  // Not in the middle of a character.
  while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xC0) == 0x80) --kept;
  return fmt::format("'{}…'", VisibleText(text.substr(0, kept)));
}

size_t Utf8Bytes(std::string_view text) {
  const Character first = First(text);
  return first.code < 0 ? 0 : first.bytes;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character c = First(text);
    width += c.code < 0 ? 1 : static_cast<size_t>(std::max(0, utf8proc_charwidth(c.code)));
    text.remove_prefix(c.bytes);
  }
  return width;
}

}  // namespace crossover

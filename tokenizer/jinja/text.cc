#include "tokenizer/jinja/text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace crossover::tokenizer::jinja {
namespace {

std::string_view CharacterAt(std::string_view text, size_t offset) {
  return text.substr(offset, std::max<size_t>(Utf8Length(text, offset), 1));
}

char32_t CodePoint(std::string_view character) {
  utf8proc_int32_t code = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
                   static_cast<utf8proc_ssize_t>(character.size()), &code);
  return static_cast<char32_t>(code);
}

// What Python's str.isspace() accepts.
bool IsSpace(std::string_view character) {
  const char32_t c = CodePoint(character);
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

template <typename Predicate>
std::string_view StripWhere(std::string_view text, Ends ends, const Predicate& strips) {
  const std::vector<std::string_view> characters = Characters(text);
  auto begin = characters.begin();
  auto end = characters.end();
  if (ends != Ends::kRight) begin = std::find_if_not(begin, end, strips);
  if (ends != Ends::kLeft) {
    while (end != begin && strips(*(end - 1))) --end;
  }
  if (begin == end) return {};
  const char* last = (end - 1)->data() + (end - 1)->size();
  return {begin->data(), static_cast<size_t>(last - begin->data())};
}

template <typename Map>
void AppendMapped(std::string_view character, const Map& map, std::string& out) {
  const char32_t c = CodePoint(character);
  if (c == static_cast<char32_t>(-1)) {
    out += character;
    return;
  }
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(map(static_cast<utf8proc_int32_t>(c)), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

bool IsCased(std::string_view character) {
  const auto c = static_cast<utf8proc_int32_t>(CodePoint(character));
  return c >= 0 && (utf8proc_toupper(c) != c || utf8proc_tolower(c) != c);
}

}  // namespace

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  for (size_t i = 0; i < text.size(); i += characters.back().size()) {
    characters.push_back(CharacterAt(text, i));
  }
  return characters;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); i += CharacterAt(text, i).size()) ++count;
  return count;
}

std::string_view StripSpace(std::string_view text, Ends ends) {
  return StripWhere(text, ends, IsSpace);
}

std::string_view Strip(std::string_view text, std::string_view characters, Ends ends) {
  const std::vector<std::string_view> set = Characters(characters);
  return StripWhere(text, ends,
                    [&](std::string_view c) { return std::ranges::find(set, c) != set.end(); });
}

std::vector<std::string_view> Split(std::string_view text, std::string_view separator,
                                    size_t limit) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  while (parts.size() < limit) {
    const size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) break;
    parts.push_back(text.substr(begin, end - begin));
    begin = end + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<std::string_view> SplitAtSpace(std::string_view text) {
  std::vector<std::string_view> words;
  bool in_word = false;
  for (const std::string_view c : Characters(text)) {
    if (IsSpace(c)) {
      in_word = false;
    } else if (in_word) {
      words.back() = {words.back().data(), words.back().size() + c.size()};
    } else {
      words.push_back(c);
      in_word = true;
    }
  }
  return words;
}

std::string Replace(std::string_view text, std::string_view from, std::string_view to,
                    size_t limit) {
  if (from.empty()) throw Error(ErrorCode::kUnsupported, "replace: nothing to replace");
  const std::vector<std::string_view> parts = Split(text, from, limit);
  CheckTextSize(text.size() + (parts.size() - 1) * to.size());
  return fmt::format("{}", fmt::join(parts, to));
}

std::string Upper(std::string_view text) {
  std::string out;
  for (const std::string_view c : Characters(text)) AppendMapped(c, utf8proc_toupper, out);
  return out;
}

std::string Lower(std::string_view text) {
  std::string out;
  for (const std::string_view c : Characters(text)) AppendMapped(c, utf8proc_tolower, out);
  return out;
}

std::string Capitalize(std::string_view text) {
  if (text.empty()) return {};
  const std::string_view first = CharacterAt(text, 0);
  std::string out;
  AppendMapped(first, utf8proc_totitle, out);
  return out + Lower(text.substr(first.size()));
}

std::string Title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (const std::string_view c : Characters(text)) {
    AppendMapped(c, in_word ? utf8proc_tolower : utf8proc_totitle, out);
    in_word = IsCased(c);
  }
  return out;
}

void CheckTextSize(size_t bytes) {
  if (bytes > kMaxText) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the template makes more than {} bytes of text", kMaxText));
  }
}

}  // namespace crossover::tokenizer::jinja

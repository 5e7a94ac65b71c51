#include "tokenizer/jinja/text.h"

#include <string.h>  // memmem
#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace crossover::tokenizer::jinja {
namespace {

// What Python's str.isspace() accepts.
bool IsSpace(std::string_view character) {
  const char32_t c = CodePoint(character);
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// The bytes of a character as one number, another one for every character.
uint32_t Packed(std::string_view character) {
  uint32_t packed = 0;
  for (const char c : character) packed = packed << 8 | static_cast<unsigned char>(c);
  return packed;
}

template <typename Predicate>
std::string_view StripWhere(Budget& budget, std::string_view text, Ends ends,
                            const Predicate& strips) {
  size_t begin = 0;
  while (ends != Ends::kRight && begin < text.size()) {
    const std::string_view character = CharacterAt(text, begin);
    budget.Work(1);
    if (!strips(character)) break;
    begin += character.size();
  }
  text.remove_prefix(begin);
  if (ends == Ends::kLeft) return text;
  // Forwards, since only so is it known what a stray byte belongs to.
  budget.Decode(text.size());
  size_t end = 0;
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = CharacterAt(text, i);
    i += character.size();
    if (!strips(character)) end = i;
  }
  return text.substr(0, end);
}

template <typename Map>
void AddMapped(std::string_view character, const Map& map, TextBuilder& out) {
  const char32_t c = CodePoint(character);
  if (c == kNoCharacter) {
    out.Add(character);
    return;
  }
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(map(static_cast<utf8proc_int32_t>(c)), bytes);
  out.Add({reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)});
}

template <typename Map>
void AddMappedText(Budget& budget, std::string_view text, const Map& map, TextBuilder& out) {
  budget.Work(text.size() / 4);
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = CharacterAt(text, i);
    AddMapped(character, map, out);
    i += character.size();
  }
}

bool IsCased(std::string_view character) {
  const auto c = static_cast<utf8proc_int32_t>(CodePoint(character));
  return c >= 0 && (utf8proc_toupper(c) != c || utf8proc_tolower(c) != c);
}

}  // namespace

std::string_view CharacterAt(std::string_view text, size_t offset) {
  return text.substr(offset, std::max<size_t>(Utf8Length(text, offset), 1));
}

char32_t CodePoint(std::string_view character) {
  utf8proc_int32_t code = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
                   static_cast<utf8proc_ssize_t>(character.size()), &code);
  return static_cast<char32_t>(code);
}

size_t CountCharacters(Budget& budget, std::string_view text) {
  budget.Decode(text.size());
  size_t count = 0;
  for (size_t i = 0; i < text.size(); i += CharacterAt(text, i).size()) ++count;
  return count;
}

CharacterOffsets::CharacterOffsets(Budget& budget, std::string_view text) {
  const size_t count = CountCharacters(budget, text);
  budget.Decode(text.size());
  memory = Reservation(budget, (count + 1) * sizeof(uint32_t));
  offsets.reserve(count + 1);
  for (size_t i = 0; i < text.size(); i += CharacterAt(text, i).size()) {
    offsets.push_back(static_cast<uint32_t>(i));
  }
  offsets.push_back(static_cast<uint32_t>(text.size()));
}

std::string_view StripSpace(Budget& budget, std::string_view text, Ends ends) {
  return StripWhere(budget, text, ends, IsSpace);
}

std::string_view Strip(Budget& budget, std::string_view text, std::string_view characters,
                       Ends ends) {
  // Others than ASCII are sorted, so that each character of the text is looked up in few steps.
  budget.Decode(characters.size());
  std::array<bool, 128> ascii{};
  // A growing row is there twice for a moment.
  const Reservation memory(budget, characters.size() * sizeof(uint32_t));
  std::vector<uint32_t> others;
  for (size_t i = 0; i < characters.size();) {
    const std::string_view character = CharacterAt(characters, i);
    const uint32_t packed = Packed(character);
    i += character.size();
    if (packed < ascii.size()) {
      ascii[packed] = true;
    } else {
      budget.Work(4);
      others.push_back(packed);
    }
  }
  std::ranges::sort(others);
  budget.Work(text.size() / (others.empty() ? 16 : 4));
  return StripWhere(budget, text, ends, [&](std::string_view c) {
    const uint32_t packed = Packed(c);
    return packed < ascii.size() ? ascii[packed] : std::ranges::binary_search(others, packed);
  });
}

size_t Find(Budget& budget, std::string_view text, std::string_view part, size_t from) {
  if (from > text.size() || part.size() > text.size() - from) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  const size_t at = found == nullptr
                        ? std::string_view::npos
                        : static_cast<size_t>(static_cast<const char*>(found) - text.data());
  // Charged behind the search, when it is known how far it went; one alone is bounded by the text.
  budget.Search((found == nullptr ? text.size() : at) - from + part.size());
  return at;
}

Value Split(Budget& budget, std::string_view text, std::string_view separator, size_t limit) {
  ListBuilder parts(budget);
  size_t begin = 0;
  for (size_t cuts = 0; cuts < limit; ++cuts) {
    const size_t end = Find(budget, text, separator, begin);
    if (end == std::string_view::npos) break;
    parts.Add(Value::Text(budget, text.substr(begin, end - begin)));
    begin = end + separator.size();
  }
  parts.Add(Value::Text(budget, text.substr(begin)));
  return parts.Finish();
}

Value SplitAtSpace(Budget& budget, std::string_view text) {
  budget.Decode(text.size());
  ListBuilder words(budget);
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = CharacterAt(text, i);
    const bool space = IsSpace(character);
    if (space && i > begin) words.Add(Value::Text(budget, text.substr(begin, i - begin)));
    i += character.size();
    if (space) begin = i;
  }
  if (begin < text.size()) words.Add(Value::Text(budget, text.substr(begin)));
  return words.Finish();
}

Value Replace(Budget& budget, std::string_view text, std::string_view from, std::string_view to,
              size_t limit) {
  if (from.empty()) throw Error(ErrorCode::kUnsupported, "replace: nothing to replace");
  TextBuilder out(budget);
  size_t begin = 0;
  for (size_t done = 0; done < limit; ++done) {
    const size_t end = Find(budget, text, from, begin);
    if (end == std::string_view::npos) break;
    budget.Work(1);
    out.Add(text.substr(begin, end - begin));
    out.Add(to);
    begin = end + from.size();
  }
  out.Add(text.substr(begin));
  return out.Finish();
}

Value Upper(Budget& budget, std::string_view text) {
  TextBuilder out(budget);
  AddMappedText(budget, text, utf8proc_toupper, out);
  return out.Finish();
}

Value Lower(Budget& budget, std::string_view text) {
  TextBuilder out(budget);
  AddMappedText(budget, text, utf8proc_tolower, out);
  return out.Finish();
}

Value Capitalize(Budget& budget, std::string_view text) {
  TextBuilder out(budget);
  if (text.empty()) return out.Finish();
  const std::string_view first = CharacterAt(text, 0);
  AddMapped(first, utf8proc_totitle, out);
  AddMappedText(budget, text.substr(first.size()), utf8proc_tolower, out);
  return out.Finish();
}

Value Title(Budget& budget, std::string_view text) {
  budget.Work(text.size() / 2);
  TextBuilder out(budget);
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = CharacterAt(text, i);
    AddMapped(character, in_word ? utf8proc_tolower : utf8proc_totitle, out);
    in_word = IsCased(character);
    i += character.size();
  }
  return out.Finish();
}

std::string Shortened(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  text = text.substr(0, most);
  text.remove_suffix(Utf8CutTail(text));
  return std::string(text) + "…";
}

}  // namespace crossover::tokenizer::jinja

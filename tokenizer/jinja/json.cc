#include "tokenizer/jinja/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Budget& budget, const JsonStyle& style)
      : budget_(budget), style_(style), out_(budget) {}

  void Add(const Value& value, size_t level) {
    budget_.Work(1);
    if (const List* list = value.list()) {
      AddList(*list, level);
    } else if (const Dict* dict = value.dict()) {
      AddDict(*dict, level);
    } else if (const std::string* text = value.string()) {
      AddText(*text);
    } else if (const bool* b = value.boolean()) {
      out_.Add(*b ? "true" : "false");
    } else if (value.is_none()) {
      out_.Add("null");
    } else if (value.is_number()) {
      AddNumber(value);
    } else {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("something that JSON can express is needed, not {}", value.description()));
    }
  }

  Value Finish() { return out_.Finish(); }

 private:
  void NewLine(size_t level) {
    if (!style_.indent) return;
    out_.Add('\n');
    for (size_t i = 0; i < level; ++i) out_.Add(*style_.indent);
    budget_.Work(level / 4);
  }

  void AddList(const List& list, size_t level) {
    out_.Add('[');
    for (size_t i = 0; i < list.size(); ++i) {
      if (i > 0) out_.Add(style_.between);
      NewLine(level + 1);
      Add(list[i], level + 1);
    }
    if (!list.empty()) NewLine(level);
    out_.Add(']');
  }

  void AddDict(const Dict& dict, size_t level) {
    const size_t size = dict.entries().size();
    const Reservation memory(budget_, size * sizeof(const Dict::Entry*));
    std::vector<const Dict::Entry*> entries;
    entries.reserve(size);
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) Sort(entries);
    out_.Add('{');
    for (size_t i = 0; i < size; ++i) {
      if (i > 0) out_.Add(style_.between);
      NewLine(level + 1);
      AddText(*entries[i]->key.string());
      out_.Add(style_.behind_key);
      Add(entries[i]->value, level + 1);
    }
    if (size > 0) NewLine(level);
    out_.Add('}');
  }

  void Sort(std::vector<const Dict::Entry*>& entries) {
    std::ranges::sort(entries, [&](const Dict::Entry* a, const Dict::Entry* b) {
      budget_.Work(1);
      budget_.Copy(a->key.string()->size());
      return *a->key.string() < *b->key.string();
    });
  }

  void AddNumber(const Value& value) {
    if (value.is_integer() || std::isfinite(value.number())) {
      out_.Add(*value.AsText(budget_).string());
    } else if (std::isnan(value.number())) {
      out_.Add("NaN");
    } else {
      out_.Add(value.number() < 0 ? "-Infinity" : "Infinity");
    }
  }

  void AddText(std::string_view text) {
    budget_.Work(text.size() / (style_.ascii ? 1 : 4));
    out_.Add('"');
    for (size_t i = 0; i < text.size();) {
      const std::string_view character = CharacterAt(text, i);
      i += character.size();
      if (character.size() == 1 && static_cast<unsigned char>(character[0]) < 0x80) {
        AddAscii(character[0]);
      } else if (style_.ascii) {
        AddEscaped(character);
      } else {
        out_.Add(character);
      }
    }
    out_.Add('"');
  }

  void AddAscii(char c) {
    constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f";
    constexpr std::string_view kEscapes = "\"\\nrtbf";
    if (const size_t at = kSpecial.find(c); at != std::string_view::npos) {
      out_.Add('\\');
      out_.Add(kEscapes[at]);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out_.Add(fmt::format("\\u{:04x}", static_cast<unsigned>(c)));
    } else {
      out_.Add(c);
    }
  }

  // In UTF-16, as JSON has it. A byte that belongs to no character counts as U+FFFD.
  void AddEscaped(std::string_view character) {
    const char32_t code = CodePoint(character);
    const uint32_t point = code == kNoCharacter ? 0xFFFD : code;
    if (point < 0x10000) {
      out_.Add(fmt::format("\\u{:04x}", point));
    } else {
      const uint32_t rest = point - 0x10000;
      out_.Add(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF)));
    }
  }

  Budget& budget_;
  const JsonStyle& style_;
  TextBuilder out_;
};

}  // namespace

Value ToJson(Budget& budget, const Value& value, const JsonStyle& style) {
  JsonWriter writer(budget, style);
  writer.Add(value, 0);
  return writer.Finish();
}

}  // namespace crossover::tokenizer::jinja

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

const std::string& Text(const Value* value, std::string_view method) {
  if (!value || !value->string()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: text is needed", method));
  }
  return *value->string();
}

Value Texts(const std::vector<std::string_view>& parts) { return List(parts.begin(), parts.end()); }

Value StripEnds(const std::string& text, const Arguments& arguments, Ends ends) {
  const Value* characters = arguments.Find(0, "chars");
  if (!characters || characters->is_none()) return StripSpace(text, ends);
  return Strip(text, Text(characters, "strip"), ends);
}

// One text, or any of several.
template <typename Matches>
bool MatchesAny(const Value* candidates, const Matches& matches) {
  if (candidates && candidates->list()) {
    return std::ranges::any_of(*candidates->list(),
                               [&](const Value& c) { return matches(Text(&c, "startswith")); });
  }
  return matches(Text(candidates, "startswith"));
}

size_t Limit(const Value* limit) {
  const int64_t n = limit ? limit->integer() : -1;
  return n < 0 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(n);
}

Value SplitText(const std::string& text, const Arguments& arguments) {
  const Value* separator = arguments.Find(0, "sep");
  const Value* limit = arguments.Find(1, "maxsplit");
  if (separator && !separator->is_none()) {
    const std::string& by = Text(separator, "split");
    if (by.empty()) throw Error(ErrorCode::kInvalidArgument, "split: an empty separator");
    return Texts(Split(text, by, Limit(limit)));
  }
  if (limit) throw Error(ErrorCode::kUnsupported, "split: a limit needs a separator");
  return Texts(SplitAtSpace(text));
}

Value FindText(const std::string& text, const Arguments& arguments) {
  const size_t at = text.find(Text(arguments.Find(0, "sub"), "find"));
  if (at == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(CountCharacters(std::string_view(text).substr(0, at)));
}

Value CountText(const std::string& text, const Arguments& arguments) {
  const std::string& part = Text(arguments.Find(0, "sub"), "count");
  if (part.empty()) throw Error(ErrorCode::kUnsupported, "count: nothing to count");
  return static_cast<int64_t>(Split(text, part, Limit(nullptr)).size() - 1);
}

using TextMethod = Value (*)(const std::string&, const Arguments&);

const std::map<std::string_view, TextMethod>& TextMethods() {
  using S = const std::string&;
  using A = const Arguments&;
  static const std::map<std::string_view, TextMethod> methods{
      {"strip", [](S s, A a) { return StripEnds(s, a, Ends::kBoth); }},
      {"lstrip", [](S s, A a) { return StripEnds(s, a, Ends::kLeft); }},
      {"rstrip", [](S s, A a) { return StripEnds(s, a, Ends::kRight); }},
      {"split", SplitText},
      {"find", FindText},
      {"count", CountText},
      {"upper", [](S s, A) -> Value { return Upper(s); }},
      {"lower", [](S s, A) -> Value { return Lower(s); }},
      {"capitalize", [](S s, A) -> Value { return Capitalize(s); }},
      {"title", [](S s, A) -> Value { return Title(s); }},
      {"startswith",
       [](S s, A a) -> Value {
         return MatchesAny(a.Find(0, "prefix"), [&](S prefix) { return s.starts_with(prefix); });
       }},
      {"endswith",
       [](S s, A a) -> Value {
         return MatchesAny(a.Find(0, "suffix"), [&](S suffix) { return s.ends_with(suffix); });
       }},
      {"replace",
       [](S s, A a) -> Value {
         return Replace(s, Text(a.Find(0, "old"), "replace"), Text(a.Find(1, "new"), "replace"),
                        Limit(a.Find(2, "count")));
       }},
      {"join",
       [](S s, A a) {
         return ApplyFilter("join", a.positional.at(0), {{s}, {}});
       }},
  };
  return methods;
}

std::optional<Value> CallDictMethod(const Dict& dict, std::string_view name,
                                    const Arguments& arguments) {
  if (name == "get") {
    const Value* found = dict.Find(Text(arguments.Find(0, "key"), "get"));
    const Value* fallback = arguments.Find(1, "default");
    return found ? *found : fallback ? *fallback : Value(nullptr);
  }
  List list;
  for (const auto& [key, value] : dict.entries()) {
    if (name == "keys") list.emplace_back(key);
    if (name == "values") list.push_back(value);
    if (name == "items") list.emplace_back(List{Value(key), value});
  }
  if (name != "keys" && name != "values" && name != "items") return std::nullopt;
  return list;
}

}  // namespace

std::optional<Value> CallMethod(const Value& object, std::string_view name,
                                const Arguments& arguments) {
  if (const Dict* dict = object.dict()) return CallDictMethod(*dict, name, arguments);
  const std::string* text = object.string();
  if (!text) return std::nullopt;
  const auto method = TextMethods().find(name);
  if (method == TextMethods().end()) return std::nullopt;
  return method->second(*text, arguments);
}

}  // namespace crossover::tokenizer::jinja

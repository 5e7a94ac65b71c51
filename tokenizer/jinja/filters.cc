#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using V = const Value&;
using A = const Arguments&;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

Value Length(V value, A) {
  if (const std::string* text = value.string()) {
    return static_cast<int64_t>(CountCharacters(*text));
  }
  return static_cast<int64_t>(Elements(value).size());
}

Value Trim(V value, A arguments) {
  const Value* characters = arguments.Find(0, "chars");
  const std::string text = value.text();
  if (!characters || characters->is_none()) return StripSpace(text, Ends::kBoth);
  return Strip(text, characters->text(), Ends::kBoth);
}

Value Default(V value, A arguments) {
  const Value* fallback = arguments.Find(0, "default_value");
  const Value* also_false = arguments.Find(1, "boolean");
  const bool replaced =
      value.is_undefined() || (also_false && also_false->truth() && !value.truth());
  if (!replaced) return value;
  return fallback ? *fallback : Value("");
}

Value Join(V value, A arguments) {
  const Value* separator = arguments.Find(0, "d");
  const Value* attribute = arguments.Find(1, "attribute");
  std::vector<std::string> parts;
  const std::string between = separator ? separator->text() : "";
  size_t size = 0;
  for (const Value& element : Elements(value)) {
    parts.push_back((attribute ? GetItem(element, *attribute) : element).text());
    size += parts.back().size() + between.size();
    CheckTextSize(size);
  }
  return fmt::format("{}", fmt::join(parts, between));
}

Value Edge(V value, bool first) {
  const List elements = Elements(value);
  if (elements.empty()) return {};
  return first ? elements.front() : elements.back();
}

template <typename T>
std::optional<T> Parse(std::string_view text) {
  T number{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

// Python's int(): of texts too; 0 for what is no number.
Value Integer(V value, A arguments) {
  constexpr double kExact = 0x1p53;
  if (value.is_integer() || value.boolean()) return value.integer();
  std::optional<double> number;
  if (value.is_number()) number = value.number();
  if (const std::string* text = value.string()) {
    const std::string_view digits = StripSpace(*text, Ends::kBoth);
    if (const auto whole = Parse<int64_t>(digits)) return *whole;
    number = Parse<double>(digits);
  }
  if (number && std::abs(*number) < kExact) return static_cast<int64_t>(*number);
  const Value* fallback = arguments.Find(0, "default");
  return fallback ? *fallback : Value(int64_t{0});
}

Value Json(V value, A arguments) {
  const Value* indent = arguments.Find(0, "indent");
  const bool lines = indent && !indent->is_none();
  return ToJson(value,
                lines ? static_cast<int>(std::clamp<int64_t>(indent->integer(), 0, 16)) : -1);
}

Value ReplaceText(V value, A arguments) {
  const Value* from = arguments.Find(0, "old");
  const Value* to = arguments.Find(1, "new");
  const Value* count = arguments.Find(2, "count");
  if (!from || !to) {
    throw Error(ErrorCode::kInvalidArgument, "replace: needs what to replace, and by what");
  }
  const size_t limit =
      count && !count->is_none() ? static_cast<size_t>(count->integer()) : kNoLimit;
  return Replace(value.text(), from->text(), to->text(), limit);
}

Value Reverse(V value, A) {
  List elements = Elements(value);
  std::ranges::reverse(elements);
  if (!value.string()) return elements;
  std::string text;
  for (const Value& c : elements) text += c.text();
  return text;
}

Value Items(V value, A) {
  if (value.is_undefined()) return List();
  const auto items = CallMethod(value, "items", {});
  if (!items) throw Error(ErrorCode::kInvalidArgument, "items: a dictionary is needed");
  return *items;
}

// Every line but the first (and empty ones) moved to the right.
Value Indent(V value, A arguments) {
  const Value* width = arguments.Find(0, "width");
  const Value* first = arguments.Find(1, "first");
  const Value* blank = arguments.Find(2, "blank");
  const std::string margin =
      width && width->string()
          ? *width->string()
          : std::string(
                width ? static_cast<size_t>(std::clamp<int64_t>(width->integer(), 0, 64)) : 4, ' ');
  const std::string text = value.text();
  const std::vector<std::string_view> lines = Split(text, "\n", kNoLimit);
  CheckTextSize(text.size() + lines.size() * margin.size());
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool moved =
        i == 0 ? first && first->truth() : !lines[i].empty() || (blank && blank->truth());
    if (i > 0) out += '\n';
    if (moved) out += margin;
    out += lines[i];
  }
  return out;
}

Arguments Behind(A arguments, size_t skipped) {
  Arguments rest;
  for (size_t i = skipped; i < arguments.positional.size(); ++i) {
    rest.positional.push_back(arguments.positional[i]);
  }
  return rest;
}

// map(attribute='name') or map('filter', …).
Value Map(V value, A arguments) {
  const Value* attribute = arguments.Find(kNoLimit, "attribute");
  const Value* fallback = arguments.Find(kNoLimit, "default");
  const Value* filter = arguments.Find(0, "filter");
  List out;
  for (const Value& element : Elements(value)) {
    if (attribute) {
      Value item = GetItem(element, *attribute);
      if (item.is_undefined() && fallback) item = *fallback;
      out.push_back(std::move(item));
    } else if (filter) {
      out.push_back(ApplyFilter(filter->text(), element, Behind(arguments, 1)));
    } else {
      throw Error(ErrorCode::kInvalidArgument, "map: needs an attribute or a filter");
    }
  }
  return out;
}

// select, reject: ('test', …); selectattr, rejectattr: ('attribute', 'test', …).
Value Select(V value, A arguments, bool by_attribute, bool wanted) {
  const size_t at = by_attribute ? 1 : 0;
  const Value* attribute = by_attribute ? arguments.Find(0, "attribute") : nullptr;
  if (by_attribute && !attribute) {
    throw Error(ErrorCode::kInvalidArgument, "selectattr: needs an attribute");
  }
  const Value* test = arguments.Find(at, "test");
  List out;
  for (const Value& element : Elements(value)) {
    const Value tested = attribute ? GetItem(element, *attribute) : element;
    const bool passes =
        test ? ApplyTest(test->text(), tested, Behind(arguments, at + 1)) : tested.truth();
    if (passes == wanted) out.push_back(element);
  }
  return out;
}

using Filter = Value (*)(V, A);

const std::map<std::string_view, Filter>& Filters() {
  static const std::map<std::string_view, Filter> filters{
      {"capitalize", [](V v, A) -> Value { return Capitalize(v.text()); }},
      {"count", Length},
      {"d", Default},
      {"default", Default},
      {"first", [](V v, A) { return Edge(v, true); }},
      {"float", [](V v, A) -> Value { return v.number(); }},
      {"indent", Indent},
      {"int", Integer},
      {"items", Items},
      {"join", Join},
      {"last", [](V v, A) { return Edge(v, false); }},
      {"length", Length},
      {"list", [](V v, A) -> Value { return Elements(v); }},
      {"lower", [](V v, A) -> Value { return Lower(v.text()); }},
      {"map", Map},
      {"reject", [](V v, A a) { return Select(v, a, false, false); }},
      {"rejectattr", [](V v, A a) { return Select(v, a, true, false); }},
      {"replace", ReplaceText},
      {"reverse", Reverse},
      {"safe", [](V v, A) { return v; }},
      {"select", [](V v, A a) { return Select(v, a, false, true); }},
      {"selectattr", [](V v, A a) { return Select(v, a, true, true); }},
      {"string", [](V v, A) -> Value { return v.text(); }},
      {"title", [](V v, A) -> Value { return Title(v.text()); }},
      {"tojson", Json},
      {"trim", Trim},
      {"upper", [](V v, A) -> Value { return Upper(v.text()); }},
  };
  return filters;
}

const Value& Operand(A arguments) {
  if (arguments.positional.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "the test needs something to compare with");
  }
  return arguments.positional[0];
}

using Test = bool (*)(V, A);

const std::map<std::string_view, Test>& Tests() {
  static const std::map<std::string_view, Test> tests{
      {"!=", [](V v, A a) { return v != Operand(a); }},
      {"==", [](V v, A a) { return v == Operand(a); }},
      {"boolean", [](V v, A) { return v.boolean() != nullptr; }},
      {"callable", [](V v, A) { return v.function() != nullptr; }},
      {"defined", [](V v, A) { return !v.is_undefined(); }},
      {"divisibleby",
       [](V v, A a) {
         const int64_t divisor = Operand(a).integer();
         // -1 divides all, and would overflow.
         return divisor == -1 || (divisor != 0 && v.integer() % divisor == 0);
       }},
      {"eq", [](V v, A a) { return v == Operand(a); }},
      {"equalto", [](V v, A a) { return v == Operand(a); }},
      {"even", [](V v, A) { return v.integer() % 2 == 0; }},
      {"false", [](V v, A) { return v.boolean() && !*v.boolean(); }},
      {"float", [](V v, A) { return v.is_number() && !v.is_integer() && !v.boolean(); }},
      {"in", [](V v, A a) { return Contains(Operand(a), v); }},
      {"integer", [](V v, A) { return v.is_integer(); }},
      {"iterable", [](V v, A) { return v.string() || v.list() || v.dict() || v.is_undefined(); }},
      {"mapping", [](V v, A) { return v.dict() != nullptr; }},
      {"ne", [](V v, A a) { return v != Operand(a); }},
      {"none", [](V v, A) { return v.is_none(); }},
      {"number", [](V v, A) { return v.is_number(); }},
      {"odd", [](V v, A) { return v.integer() % 2 != 0; }},
      {"sequence", [](V v, A) { return v.string() || v.list() || v.dict() || v.is_undefined(); }},
      {"string", [](V v, A) { return v.string() != nullptr; }},
      {"true", [](V v, A) { return v.boolean() && *v.boolean(); }},
      {"undefined", [](V v, A) { return v.is_undefined(); }},
  };
  return tests;
}

template <typename Table>
auto FindIn(const Table& table, std::string_view kind, std::string_view name) {
  const auto found = table.find(name);
  if (found == table.end()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("the {} '{}' is not supported", kind, name.substr(0, 40)));
  }
  return found->second;
}

}  // namespace

Value ApplyFilter(std::string_view name, const Value& value, const Arguments& arguments) {
  return FindIn(Filters(), "filter", name)(value, arguments);
}

bool ApplyTest(std::string_view name, const Value& value, const Arguments& arguments) {
  return FindIn(Tests(), "test", name)(value, arguments);
}

}  // namespace crossover::tokenizer::jinja

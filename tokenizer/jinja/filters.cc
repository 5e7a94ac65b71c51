#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/json.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using B = Budget&;
using V = const Value&;
using A = const Bound&;

// A value as text, kept for as long as it is looked at.
class Shown {
 public:
  Shown(Budget& budget, const Value& value) : value_(value.AsText(budget)) {}
  const std::string& operator*() const { return *value_.string(); }

 private:
  Value value_;
};

Value Trim(B budget, V value, A arguments) {
  const Shown text(budget, value);
  if (!arguments.Get(0)) return Value::Text(budget, StripSpace(budget, *text, Ends::kBoth));
  return Value::Text(budget, Strip(budget, *text, arguments.Text(0), Ends::kBoth));
}

Value Default(B budget, V value, A arguments) {
  const bool replaced = value.is_undefined() || (arguments.IsTrue(1) && !value.truth());
  if (!replaced) return value;
  return arguments[0] ? *arguments[0] : Value::Text(budget, "");
}

template <typename T>
std::optional<T> Parse(std::string_view text) {
  T number{};
  if (text.starts_with('+')) text.remove_prefix(1);
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

// The number that a value is or, as text, spells.
std::optional<double> NumberIn(B budget, V value) {
  if (value.is_number()) return value.number();
  if (!value.string()) return std::nullopt;
  return Parse<double>(StripSpace(budget, *value.string(), Ends::kBoth));
}

// Python's int(), or the default for what is no number.
Value Integer(B budget, V value, A arguments) {
  constexpr double kExact = 0x1p53;
  if (value.is_integer() || value.boolean()) return value.integer();
  if (value.string()) {
    const auto whole = Parse<int64_t>(StripSpace(budget, *value.string(), Ends::kBoth));
    if (whole) return *whole;
  }
  const std::optional<double> number = NumberIn(budget, value);
  if (number && std::abs(*number) < kExact) return static_cast<int64_t>(*number);
  return arguments[0] ? *arguments[0] : Value(int64_t{0});
}

// Python's float(), or the default for what is no number.
Value Float(B budget, V value, A arguments) {
  if (const auto number = NumberIn(budget, value)) return *number;
  return arguments[0] ? *arguments[0] : Value(0.0);
}

std::string Spaces(B budget, int64_t count) {
  const auto n = static_cast<size_t>(std::max<int64_t>(count, 0));
  budget.CheckText(n);
  budget.Copy(n);
  return std::string(n, ' ');
}

// As transformers defines it, which is Python's json.dumps with another default: Jinja's own
// escapes HTML and knows `indent` only.
Value Json(B budget, V value, A arguments) {
  JsonStyle style{.ascii = arguments.IsTrue(0), .sort_keys = arguments.IsTrue(3)};
  if (const Value* indent = arguments.Get(1)) {
    style.indent = indent->string() ? *indent->string() : Spaces(budget, indent->integer());
    style.between = std::string(",");  // not assigned: GCC 12 warns of it without reason
  }
  if (const Value* separators = arguments.Get(2)) {
    const List* two = separators->list();
    if (!two || two->size() != 2 || !(*two)[0].string() || !(*two)[1].string()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "tojson: the argument 'separators' must be two texts");
    }
    style.between = *(*two)[0].string();
    style.behind_key = *(*two)[1].string();
  }
  return ToJson(budget, value, style);
}

Value ReplaceText(B budget, V value, A arguments) {
  const int64_t count = arguments.Get(2) ? arguments.Integer(2, -1) : -1;
  return Replace(budget, *Shown(budget, value), *Shown(budget, *arguments[0]),
                 *Shown(budget, *arguments[1]),
                 count < 0 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(count));
}

// Every line but the first (and empty ones) moved to the right.
Value Indent(B budget, V value, A arguments) {
  const Value* width = arguments[0];
  const std::string margin =
      width && width->string() ? *width->string() : Spaces(budget, width ? width->integer() : 4);
  const Shown text(budget, value);
  budget.Search((*text).size());
  TextBuilder out(budget);
  for (size_t begin = 0; begin <= (*text).size();) {
    const size_t end = std::min((*text).find('\n', begin), (*text).size());
    const std::string_view line = std::string_view(*text).substr(begin, end - begin);
    const bool moved = begin == 0 ? arguments.IsTrue(1) : !line.empty() || arguments.IsTrue(2);
    budget.Work(1);
    if (begin > 0) out.Add('\n');
    if (moved) out.Add(margin);
    out.Add(line);
    begin = end + 1;
  }
  return out.Finish();
}

using MapText = Value (*)(Budget&, std::string_view);

template <MapText kMap>
Value Mapped(B budget, V value, A) {
  return kMap(budget, *Shown(budget, value));
}

Value Absolute(B, V value, A) {
  if (!value.is_integer() && !value.boolean()) return std::abs(value.number());
  if (value.integer() == std::numeric_limits<int64_t>::min()) {
    throw Error(ErrorCode::kInvalidArgument, "an integer is out of range");
  }
  return std::abs(value.integer());
}

const FilterEntry* FindTextFilter(std::string_view name) {
  static const std::map<std::string_view, FilterEntry> filters{
      {"abs", {{}, Absolute}},
      {"capitalize", {{}, Mapped<Capitalize>}},
      {"d", {{{"default_value", "boolean"}}, Default}},
      {"default", {{{"default_value", "boolean"}}, Default}},
      {"float", {{{"default"}}, Float}},
      {"indent", {{{"width", "first", "blank"}}, Indent}},
      {"int", {{{"default"}}, Integer}},
      {"lower", {{}, Mapped<Lower>}},
      {"replace", {{{"old", "new", "count"}, 2}, ReplaceText}},
      {"safe", {{}, [](B, V v, A) { return v; }}},
      {"string", {{}, [](B b, V v, A) { return v.AsText(b); }}},
      {"title", {{}, Mapped<Title>}},
      {"tojson", {{{"ensure_ascii", "indent", "separators", "sort_keys"}}, Json}},
      {"trim", {{{"chars"}}, Trim}},
      {"upper", {{}, Mapped<Upper>}},
  };
  const auto found = filters.find(name);
  return found == filters.end() ? nullptr : &found->second;
}

}  // namespace

Value ApplyFilter(Budget& budget, std::string_view name, const Value& value,
                  const Arguments& arguments) {
  budget.Work(1);
  budget.CheckStack();  // `map` applies filters, `map` among them
  if (const ForwardingFilter forwarding = FindForwardingFilter(name)) {
    return forwarding(budget, value, arguments);
  }
  const FilterEntry* filter = FindTextFilter(name);
  if (filter == nullptr) filter = FindListFilter(name);
  if (filter == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("the filter '{}' is not supported", Shortened(name)));
  }
  return filter->apply(budget, value, Bound(name, filter->signature, arguments));
}

}  // namespace crossover::tokenizer::jinja

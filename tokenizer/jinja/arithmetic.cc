#include "tokenizer/jinja/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizer/jinja/compare.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

[[noreturn]] void Refuse(std::string_view op, const Value& left, const Value& right) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' does not take {} and {}", op,
                                                       left.description(), right.description()));
}

// Rounds down, as Python does, so that the remainder has the sign of the divisor.
int64_t FloorDivide(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }
int64_t FloorRemainder(int64_t a, int64_t b) {
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value Integers(std::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else {
    overflow = a == std::numeric_limits<int64_t>::min() && b == -1;
    if (!overflow) result = op == "//" ? FloorDivide(a, b) : FloorRemainder(a, b);
  }
  if (overflow) throw Error(ErrorCode::kInvalidArgument, "an integer is out of range");
  return result;
}

Value Numbers(std::string_view op, const Value& left, const Value& right) {
  const double a = left.number();
  const double b = right.number();
  if (b == 0 && (op == "/" || op == "//" || op == "%")) {
    throw Error(ErrorCode::kInvalidArgument, "a division by zero");
  }
  if (op == "/") return a / b;
  const auto whole = [](const Value& v) { return v.is_integer() || v.boolean(); };
  if (whole(left) && whole(right)) return Integers(op, left.integer(), right.integer());
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  return op == "//" ? std::floor(a / b) : a - std::floor(a / b) * b;
}

Value Joined(Budget& budget, const std::string& left, const std::string& right) {
  TextBuilder both(budget);
  budget.CheckText(left.size() + right.size());
  both.Add(left);
  both.Add(right);
  return both.Finish();
}

Value Add(Budget& budget, const Value& left, const Value& right) {
  if (left.string() && right.string()) return Joined(budget, *left.string(), *right.string());
  if (left.list() && right.list()) {
    ListBuilder both(budget);
    for (const Value& element : *left.list()) both.Add(element);
    for (const Value& element : *right.list()) both.Add(element);
    return both.Finish();
  }
  if (!left.is_number() || !right.is_number()) Refuse("+", left, right);
  return Numbers("+", left, right);
}

// The places from `first` to before `end` in steps of `by`, which is not 0.
template <typename Append>
void ForEachPlace(int64_t first, int64_t end, int64_t by, const Append& append) {
  for (int64_t i = first; by > 0 ? i < end : i > end; i += by) append(static_cast<size_t>(i));
}

}  // namespace

Value ApplyUnary(std::string_view op, const Value& operand) {
  if (op == "not") return !operand.truth();
  return Numbers(op, Value(int64_t{0}), operand);
}

Value ApplyBinary(Budget& budget, std::string_view op, const Value& left, const Value& right) {
  if (op == "==") return Equal(budget, left, right);
  if (op == "!=") return !Equal(budget, left, right);
  if (op == "<") return Less(budget, left, right);
  if (op == ">") return Less(budget, right, left);
  if (op == "<=") return Less(budget, left, right) || Equal(budget, left, right);
  if (op == ">=") return Less(budget, right, left) || Equal(budget, left, right);
  if (op == "in") return Contains(budget, right, left);
  if (op == "not in") return !Contains(budget, right, left);
  if (op == "+") return Add(budget, left, right);
  if (op == "~") {
    return Joined(budget, *left.AsText(budget).string(), *right.AsText(budget).string());
  }
  if (!left.is_number() || !right.is_number()) Refuse(op, left, right);
  return Numbers(op, left, right);
}

Value Slice(Budget& budget, const Value& value, std::optional<int64_t> start,
            std::optional<int64_t> stop, std::optional<int64_t> step) {
  const List* list = value.list();
  if (!list && !value.string()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a slice of {}", value.description()));
  }
  std::optional<CharacterOffsets> characters;
  if (!list) characters.emplace(budget, *value.string());
  const auto size = static_cast<int64_t>(list ? list->size() : characters->size());
  const int64_t by = step.value_or(1);
  if (by == 0) throw Error(ErrorCode::kInvalidArgument, "a slice with a step of 0");
  // The places where a walk in this direction may stand, its end included.
  const int64_t low = by > 0 ? 0 : -1;
  const int64_t high = by > 0 ? size : size - 1;
  const auto place = [&](std::optional<int64_t> bound, int64_t absent) {
    if (!bound) return absent;
    return std::clamp(*bound < 0 ? *bound + size : *bound, low, high);
  };
  const int64_t first = place(start, by > 0 ? low : high);
  const int64_t end = place(stop, by > 0 ? high : low);
  // No step leads further than behind the end.
  const int64_t stride = std::clamp(by, -size - 1, size + 1);
  if (list) {
    ListBuilder out(budget);
    ForEachPlace(first, end, stride, [&](size_t i) { out.Add((*list)[i]); });
    return out.Finish();
  }
  TextBuilder out(budget);
  const std::string& text = *value.string();
  budget.Decode(text.size());
  if (stride == 1 && first < end) {
    const auto& offsets = characters->offsets;
    const size_t from = offsets[static_cast<size_t>(first)];
    out.Add(std::string_view(text).substr(from, offsets[static_cast<size_t>(end)] - from));
  } else {
    ForEachPlace(first, end, stride, [&](size_t i) { out.Add(characters->Get(text, i)); });
  }
  return out.Finish();
}

}  // namespace crossover::tokenizer::jinja

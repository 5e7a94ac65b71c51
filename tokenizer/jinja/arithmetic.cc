#include "tokenizer/jinja/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

[[noreturn]] void Refuse(std::string_view op, const Value& left, const Value& right) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' does not take {} and {}", op,
                                                       left.description(), right.description()));
}

// Rounds down, as Python does.
int64_t FloorDivide(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

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
    if (!overflow) result = op == "//" ? FloorDivide(a, b) : a - FloorDivide(a, b) * b;
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

Value Add(const Value& left, const Value& right) {
  if (left.string() && right.string()) {
    CheckTextSize(left.string()->size() + right.string()->size());
    return *left.string() + *right.string();
  }
  if (left.list() && right.list()) {
    List both = *left.list();
    both.insert(both.end(), right.list()->begin(), right.list()->end());
    return both;
  }
  if (!left.is_number() || !right.is_number()) Refuse("+", left, right);
  return Numbers("+", left, right);
}

}  // namespace

Value ApplyUnary(std::string_view op, const Value& operand) {
  if (op == "not") return !operand.truth();
  return Numbers(op, Value(int64_t{0}), operand);
}

Value ApplyBinary(std::string_view op, const Value& left, const Value& right) {
  if (op == "==") return left == right;
  if (op == "!=") return left != right;
  if (op == "<") return left < right;
  if (op == ">") return right < left;
  if (op == "<=") return left < right || left == right;
  if (op == ">=") return right < left || left == right;
  if (op == "in") return Contains(right, left);
  if (op == "not in") return !Contains(right, left);
  if (op == "+") return Add(left, right);
  if (op == "~") return Add(left.text(), right.text());
  if (!left.is_number() || !right.is_number()) Refuse(op, left, right);
  return Numbers(op, left, right);
}

Value Slice(const Value& value, std::optional<int64_t> start, std::optional<int64_t> stop,
            std::optional<int64_t> step) {
  if (!value.list() && !value.string()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a slice of {}", value.description()));
  }
  const List elements = Elements(value);
  const auto size = static_cast<int64_t>(elements.size());
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
  List out;
  for (int64_t i = first; by > 0 ? i < end : i > end; i += stride) {
    out.push_back(elements[static_cast<size_t>(i)]);
  }
  if (value.list()) return out;
  std::string text;
  for (const Value& c : out) text += c.text();
  return text;
}

}  // namespace crossover::tokenizer::jinja

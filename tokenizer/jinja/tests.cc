// What stands behind `is`.
#include <fmt/format.h>

#include <map>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/compare.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using B = Budget&;
using V = const Value&;
using A = const Bound&;

struct Test {
  Signature signature;
  bool (*passes)(Budget&, const Value&, const Bound&);
};

bool IsIterable(B, V v, A) { return v.string() || v.list() || v.dict() || v.is_undefined(); }

bool IsEqual(B b, V v, A a) { return Equal(b, v, *a[0]); }
bool IsUnequal(B b, V v, A a) { return !Equal(b, v, *a[0]); }
bool IsLess(B b, V v, A a) { return Less(b, v, *a[0]); }
bool IsGreater(B b, V v, A a) { return Less(b, *a[0], v); }
bool IsAtMost(B b, V v, A a) { return Less(b, v, *a[0]) || Equal(b, v, *a[0]); }
bool IsAtLeast(B b, V v, A a) { return Less(b, *a[0], v) || Equal(b, v, *a[0]); }

bool IsDivisible(B, V v, A a) {
  const int64_t divisor = a[0]->integer();
  if (divisor == 0) throw Error(ErrorCode::kInvalidArgument, "a division by zero");
  // -1 divides all, and would overflow.
  return divisor == -1 || v.integer() % divisor == 0;
}

const std::map<std::string_view, Test>& Tests() {
  static const Signature kNone;
  static const Signature kOther{{"other"}, 1};
  static const std::map<std::string_view, Test> tests{
      {"!=", {kOther, IsUnequal}},
      {"<", {kOther, IsLess}},
      {"<=", {kOther, IsAtMost}},
      {"==", {kOther, IsEqual}},
      {">", {kOther, IsGreater}},
      {">=", {kOther, IsAtLeast}},
      {"boolean", {kNone, [](B, V v, A) { return v.boolean() != nullptr; }}},
      {"callable", {kNone, [](B, V v, A) { return v.function() != nullptr; }}},
      {"defined", {kNone, [](B, V v, A) { return !v.is_undefined(); }}},
      {"divisibleby", {{{"num"}, 1}, IsDivisible}},
      {"eq", {kOther, IsEqual}},
      {"equalto", {kOther, IsEqual}},
      {"even", {kNone, [](B, V v, A) { return v.integer() % 2 == 0; }}},
      {"false", {kNone, [](B, V v, A) { return v.boolean() && !*v.boolean(); }}},
      {"float",
       {kNone, [](B, V v, A) { return v.is_number() && !v.is_integer() && !v.boolean(); }}},
      {"ge", {kOther, IsAtLeast}},
      {"greaterthan", {kOther, IsGreater}},
      {"gt", {kOther, IsGreater}},
      {"in", {{{"seq"}, 1}, [](B b, V v, A a) { return Contains(b, *a[0], v); }}},
      {"integer", {kNone, [](B, V v, A) { return v.is_integer(); }}},
      {"iterable", {kNone, IsIterable}},
      {"le", {kOther, IsAtMost}},
      {"lessthan", {kOther, IsLess}},
      {"lt", {kOther, IsLess}},
      {"mapping", {kNone, [](B, V v, A) { return v.dict() != nullptr; }}},
      {"ne", {kOther, IsUnequal}},
      {"none", {kNone, [](B, V v, A) { return v.is_none(); }}},
      {"number", {kNone, [](B, V v, A) { return v.is_number(); }}},
      {"odd", {kNone, [](B, V v, A) { return v.integer() % 2 != 0; }}},
      {"sequence", {kNone, IsIterable}},
      {"string", {kNone, [](B, V v, A) { return v.string() != nullptr; }}},
      {"true", {kNone, [](B, V v, A) { return v.boolean() && *v.boolean(); }}},
      {"undefined", {kNone, [](B, V v, A) { return v.is_undefined(); }}},
  };
  return tests;
}

}  // namespace

bool ApplyTest(Budget& budget, std::string_view name, const Value& value,
               const Arguments& arguments) {
  budget.Work(1);
  const auto found = Tests().find(name);
  if (found == Tests().end()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("the test '{}' is not supported", Shortened(name)));
  }
  const Test& test = found->second;
  return test.passes(budget, value, Bound(name, test.signature, arguments));
}

}  // namespace crossover::tokenizer::jinja

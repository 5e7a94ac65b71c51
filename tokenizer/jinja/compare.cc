#include "tokenizer/jinja/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

bool EqualLists(Budget& budget, const List& a, const List& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!Equal(budget, a[i], b[i])) return false;
  }
  return true;
}

bool EqualDicts(Budget& budget, const Dict& a, const Dict& b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const Dict::Entry& entry : a.entries()) {
    const Value* other = b.Find(budget, *entry.key.string());
    if (!other || !Equal(budget, *other, entry.value)) return false;
  }
  return true;
}

}  // namespace

bool Equal(Budget& budget, const Value& a, const Value& b) {
  budget.Work(1);
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.is_undefined() || a.is_none()) {
    return a.is_undefined() ? b.is_undefined() : b.is_none();
  }
  if (a.string() && b.string()) {
    if (a.string()->size() != b.string()->size()) return false;
    budget.Copy(a.string()->size());
    return *a.string() == *b.string();
  }
  if (a.list() && b.list()) return EqualLists(budget, *a.list(), *b.list());
  if (a.dict() && b.dict()) return EqualDicts(budget, *a.dict(), *b.dict());
  return a.IsSame(b);  // a function, a namespace
}

bool Less(Budget& budget, const Value& a, const Value& b) {
  budget.Work(1);
  if (a.string() && b.string()) {
    budget.Copy(std::min(a.string()->size(), b.string()->size()));
    return *a.string() < *b.string();  // UTF-8 sorts as its characters do
  }
  if (!a.is_number() || !b.is_number()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} and {} have no order", a.description(), b.description()));
  }
  return a.number() < b.number();
}

bool Contains(Budget& budget, const Value& haystack, const Value& needle) {
  const std::string* part = needle.string();
  if (const std::string* text = haystack.string()) {
    if (part == nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("text is needed, not {}", needle.description()));
    }
    return Find(budget, *text, *part) != std::string_view::npos;
  }
  if (const Dict* dict = haystack.dict()) {
    return part != nullptr && dict->Find(budget, *part) != nullptr;
  }
  for (Walk walk(budget, haystack); !walk.AtEnd();) {
    if (Equal(budget, walk.Next(), needle)) return true;
  }
  return false;
}

}  // namespace crossover::tokenizer::jinja

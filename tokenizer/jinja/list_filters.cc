// The filters that choose, order and join elements.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/compare.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using B = Budget&;
using V = const Value&;
using A = const Bound&;

Value AsList(B budget, V value) {
  if (value.list()) return value;
  ListBuilder list(budget);
  for (Walk walk(budget, value); !walk.AtEnd();) list.Add(walk.Next());
  return list.Finish();
}

Value Length(B budget, V value, A) { return static_cast<int64_t>(Walk(budget, value).size()); }

Value Join(B budget, V value, A arguments) {
  const Value between = arguments[0] ? arguments[0]->AsText(budget) : Value::Text(budget, "");
  TextBuilder out(budget);
  bool first = true;
  for (Walk walk(budget, value); !walk.AtEnd();) {
    const Value element = walk.Next();
    const Value part = arguments.Get(1) ? GetPath(budget, element, *arguments[1]) : element;
    if (!first) out.Add(*between.string());
    first = false;
    out.Add(*part.AsText(budget).string());
  }
  return out.Finish();
}

Value First(B budget, V value, A) {
  Walk walk(budget, value);
  return walk.AtEnd() ? Value() : walk.Next();
}

Value Last(B budget, V value, A) {
  Walk walk(budget, value);
  if (walk.AtEnd()) return {};
  if (const List* list = value.list()) return list->back();
  if (const Dict* dict = value.dict()) return dict->entries().back().key;
  return GetItem(budget, value, Value(int64_t{-1}));
}

Value Reverse(B budget, V value, A) {
  if (const std::string* text = value.string()) {
    const CharacterOffsets characters(budget, *text);
    budget.Work(characters.size() / 4);
    TextBuilder out(budget);
    for (size_t i = characters.size(); i-- > 0;) out.Add(characters.Get(*text, i));
    return out.Finish();
  }
  ListBuilder out(budget);
  const Value elements = AsList(budget, value);
  for (size_t i = elements.list()->size(); i-- > 0;) out.Add((*elements.list())[i]);
  return out.Finish();
}

Value Items(B budget, V value, A) {
  if (value.is_undefined()) return ListBuilder(budget).Finish();
  if (!value.dict()) throw Error(ErrorCode::kInvalidArgument, "items: a dictionary is needed");
  return CallMethod(budget, value, "items", {});
}

// What elements are ordered by: lower case, unless case counts.
Value SortKey(B budget, V value, bool case_sensitive) {
  return value.string() && !case_sensitive ? Lower(budget, *value.string()) : value;
}

struct Keyed {
  Value key;
  Value element;
};

// By key, and those with the same key as they came.
Value Sorted(B budget, std::vector<Keyed>& elements, bool reverse) {
  // A merge sort needs room beside them.
  const Reservation memory(budget, elements.size() * sizeof(Keyed));
  budget.Work(elements.size() * static_cast<size_t>(std::bit_width(elements.size())) / 2);
  std::ranges::stable_sort(elements, [&](const Keyed& a, const Keyed& b) {
    return reverse ? Less(budget, b.key, a.key) : Less(budget, a.key, b.key);
  });
  ListBuilder out(budget);
  for (Keyed& element : elements) out.Add(std::move(element.element));
  return out.Finish();
}

// (reverse, case_sensitive, attribute)
Value Sort(B budget, V value, A arguments) {
  Walk walk(budget, value);
  const Reservation memory(budget, walk.size() * sizeof(Keyed));
  std::vector<Keyed> elements;
  elements.reserve(walk.size());
  while (!walk.AtEnd()) {
    Value element = walk.Next();
    const Value by = arguments.Get(2) ? GetPath(budget, element, *arguments[2]) : element;
    elements.push_back({SortKey(budget, by, arguments.IsTrue(1)), std::move(element)});
  }
  return Sorted(budget, elements, arguments.IsTrue(0));
}

// (case_sensitive, by, reverse)
Value DictSort(B budget, V value, A arguments) {
  if (!value.dict()) throw Error(ErrorCode::kInvalidArgument, "dictsort: a dictionary is needed");
  const bool by_value = arguments[1] && arguments.Text(1) == "value";
  if (arguments[1] && !by_value && arguments.Text(1) != "key") {
    throw Error(ErrorCode::kInvalidArgument, "dictsort: 'by' must be 'key' or 'value'");
  }
  const Value items = CallMethod(budget, value, "items", {});
  const Reservation memory(budget, items.list()->size() * sizeof(Keyed));
  std::vector<Keyed> elements;
  elements.reserve(items.list()->size());
  for (const Value& item : *items.list()) {
    const Value& by = (*item.list())[by_value ? 1 : 0];
    elements.push_back({SortKey(budget, by, arguments.IsTrue(0)), item});
  }
  return Sorted(budget, elements, arguments.IsTrue(2));
}

// (case_sensitive, attribute): the first of those that are equal.
Value Unique(B budget, V value, A arguments) {
  ListBuilder kept(budget);
  std::vector<Value> before;
  Reservation memory(budget);
  for (Walk walk(budget, value); !walk.AtEnd();) {
    Value element = walk.Next();
    const Value by = arguments.Get(1) ? GetPath(budget, element, *arguments[1]) : element;
    Value key = SortKey(budget, by, arguments.IsTrue(0));
    const bool known =
        std::ranges::any_of(before, [&](const Value& other) { return Equal(budget, key, other); });
    if (known) continue;
    memory.Add(2 * sizeof(Value));
    before.push_back(std::move(key));
    kept.Add(std::move(element));
  }
  return kept.Finish();
}

// Without the first `skipped`.
Arguments Behind(B budget, const Arguments& arguments, size_t skipped) {
  const auto& all = arguments.positional;
  budget.Work(all.size() + arguments.named.size());
  const auto begin = all.begin() + static_cast<ptrdiff_t>(std::min(skipped, all.size()));
  return {{begin, all.end()}, arguments.named};
}

const std::string& Name(std::string_view filter, const Value& value) {
  if (value.string()) return *value.string();
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: a name is needed, not {}", filter, value.description()));
}

// map(attribute='name', default=…) or map('filter', …).
Value Map(B budget, V value, const Arguments& arguments) {
  ListBuilder out(budget);
  if (arguments.positional.empty()) {
    static const Signature signature{{"attribute", "default"}, 1};
    const Bound given("map", signature, arguments);
    for (Walk walk(budget, value); !walk.AtEnd();) {
      Value item = GetPath(budget, walk.Next(), *given[0]);
      out.Add(item.is_undefined() && given[1] ? *given[1] : std::move(item));
    }
    return out.Finish();
  }
  const std::string& filter = Name("map", arguments.positional[0]);
  const Arguments rest = Behind(budget, arguments, 1);
  for (Walk walk(budget, value); !walk.AtEnd();) {
    out.Add(ApplyFilter(budget, filter, walk.Next(), rest));
  }
  return out.Finish();
}

// select, reject: ('test', …); selectattr, rejectattr: ('attribute', 'test', …).
template <bool kByAttribute, bool kWanted>
Value Select(B budget, V value, const Arguments& arguments) {
  constexpr size_t kTest = kByAttribute ? 1 : 0;
  const auto& given = arguments.positional;
  if (given.size() < kTest) {
    throw Error(ErrorCode::kInvalidArgument, "selectattr: the argument 'attribute' is missing");
  }
  const std::string* test = given.size() > kTest ? &Name("select", given[kTest]) : nullptr;
  if (!test && !arguments.named.empty()) {
    throw Error(ErrorCode::kUnsupported, fmt::format("select: the argument '{}' is not supported",
                                                     Shortened(arguments.named[0].first)));
  }
  const Arguments rest = Behind(budget, arguments, kTest + 1);
  ListBuilder out(budget);
  for (Walk walk(budget, value); !walk.AtEnd();) {
    Value element = walk.Next();
    const Value tested = kByAttribute ? GetPath(budget, element, given[0]) : element;
    const bool passes = test ? ApplyTest(budget, *test, tested, rest) : tested.truth();
    if (passes == kWanted) out.Add(std::move(element));
  }
  return out.Finish();
}

}  // namespace

const FilterEntry* FindListFilter(std::string_view name) {
  static const std::map<std::string_view, FilterEntry> filters{
      {"count", {{}, Length}},
      {"dictsort", {{{"case_sensitive", "by", "reverse"}}, DictSort}},
      {"first", {{}, First}},
      {"items", {{}, Items}},
      {"join", {{{"d", "attribute"}}, Join}},
      {"last", {{}, Last}},
      {"length", {{}, Length}},
      {"list", {{}, [](B b, V v, A) { return AsList(b, v); }}},
      {"reverse", {{}, Reverse}},
      {"sort", {{{"reverse", "case_sensitive", "attribute"}}, Sort}},
      {"unique", {{{"case_sensitive", "attribute"}}, Unique}},
  };
  const auto found = filters.find(name);
  return found == filters.end() ? nullptr : &found->second;
}

ForwardingFilter FindForwardingFilter(std::string_view name) {
  static const std::map<std::string_view, ForwardingFilter> filters{
      {"map", Map},
      {"reject", Select<false, false>},
      {"rejectattr", Select<true, false>},
      {"select", Select<false, true>},
      {"selectattr", Select<true, true>},
  };
  const auto found = filters.find(name);
  return found == filters.end() ? nullptr : found->second;
}

}  // namespace crossover::tokenizer::jinja

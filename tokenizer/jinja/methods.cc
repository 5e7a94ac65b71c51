#include <fmt/format.h>

#include <limits>
#include <map>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using S = const std::string&;
using A = const Bound&;

Value StripEnds(Budget& budget, S text, A arguments, Ends ends) {
  return Value::Text(budget, arguments.Get(0) ? Strip(budget, text, arguments.Text(0), ends)
                                              : StripSpace(budget, text, ends));
}

// One text, or any of several.
template <typename Matches>
Value MatchesAny(Budget& budget, A arguments, const Matches& matches) {
  const auto one = [&](S candidate) {
    budget.Copy(candidate.size());
    return matches(candidate);
  };
  if (!arguments[0]->list()) return one(arguments.Text(0));
  for (const Value& candidate : *arguments[0]->list()) {
    budget.Work(1);
    if (!candidate.string()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("a text is needed, not {}", candidate.description()));
    }
    if (one(*candidate.string())) return true;
  }
  return false;
}

size_t Limit(A arguments, size_t parameter) {
  const int64_t n = arguments.Integer(parameter, -1);
  return n < 0 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(n);
}

Value SplitText(Budget& budget, S text, A arguments) {
  if (arguments.Get(0)) {
    S by = arguments.Text(0);
    if (by.empty()) throw Error(ErrorCode::kInvalidArgument, "split: an empty separator");
    return Split(budget, text, by, Limit(arguments, 1));
  }
  if (arguments[1]) throw Error(ErrorCode::kUnsupported, "split: a limit needs a separator");
  return SplitAtSpace(budget, text);
}

Value FindText(Budget& budget, S text, A arguments) {
  const size_t at = Find(budget, text, arguments.Text(0));
  if (at == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(CountCharacters(budget, std::string_view(text).substr(0, at)));
}

Value CountText(Budget& budget, S text, A arguments) {
  S part = arguments.Text(0);
  if (part.empty()) throw Error(ErrorCode::kUnsupported, "count: nothing to count");
  int64_t count = 0;
  for (size_t at = Find(budget, text, part); at != std::string::npos;
       at = Find(budget, text, part, at + part.size())) {
    budget.Work(1);
    ++count;
  }
  return count;
}

struct TextMethod {
  Signature signature;
  Value (*call)(Budget&, S, A);
};

const std::map<std::string_view, TextMethod>& TextMethods() {
  using B = Budget&;
  static const std::map<std::string_view, TextMethod> methods{
      {"strip", {{{"chars"}}, [](B b, S s, A a) { return StripEnds(b, s, a, Ends::kBoth); }}},
      {"lstrip", {{{"chars"}}, [](B b, S s, A a) { return StripEnds(b, s, a, Ends::kLeft); }}},
      {"rstrip", {{{"chars"}}, [](B b, S s, A a) { return StripEnds(b, s, a, Ends::kRight); }}},
      {"split", {{{"sep", "maxsplit"}}, SplitText}},
      {"find", {{{"sub"}, 1}, FindText}},
      {"count", {{{"sub"}, 1}, CountText}},
      {"upper", {{}, [](B b, S s, A) { return Upper(b, s); }}},
      {"lower", {{}, [](B b, S s, A) { return Lower(b, s); }}},
      {"capitalize", {{}, [](B b, S s, A) { return Capitalize(b, s); }}},
      {"title", {{}, [](B b, S s, A) { return Title(b, s); }}},
      {"startswith",
       {{{"prefix"}, 1},
        [](B b, S s, A a) {
          return MatchesAny(b, a, [&](S prefix) { return s.starts_with(prefix); });
        }}},
      {"endswith",
       {{{"suffix"}, 1},
        [](B b, S s, A a) {
          return MatchesAny(b, a, [&](S suffix) { return s.ends_with(suffix); });
        }}},
      {"replace",
       {{{"old", "new", "count"}, 2},
        [](B b, S s, A a) { return Replace(b, s, a.Text(0), a.Text(1), Limit(a, 2)); }}},
      {"join",
       {{{"iterable"}, 1},
        [](B b, S s, A a) {
          return ApplyFilter(b, "join", *a[0], {{Value::Text(b, s)}, {}});
        }}},
  };
  return methods;
}

struct DictMethod {
  Signature signature;
  Value (*call)(Budget&, const Dict&, A);
};

template <typename Element>
Value EachEntry(Budget& budget, const Dict& dict, const Element& element) {
  ListBuilder list(budget);
  for (const Dict::Entry& entry : dict.entries()) list.Add(element(entry));
  return list.Finish();
}

Value Pair(Budget& budget, const Dict::Entry& entry) {
  ListBuilder pair(budget);
  pair.Add(entry.key);
  pair.Add(entry.value);
  return pair.Finish();
}

const std::map<std::string_view, DictMethod>& DictMethods() {
  using B = Budget&;
  using D = const Dict&;
  static const std::map<std::string_view, DictMethod> methods{
      {"get",
       {{{"key", "default"}, 1},
        [](B b, D d, A a) {
          const Value* found = d.Find(b, a.Text(0));
          return found ? *found : a[1] ? *a[1] : Value(nullptr);
        }}},
      {"keys",
       {{}, [](B b, D d, A) { return EachEntry(b, d, [](const auto& e) { return e.key; }); }}},
      {"values",
       {{}, [](B b, D d, A) { return EachEntry(b, d, [](const auto& e) { return e.value; }); }}},
      {"items",
       {{},
        [](B b, D d, A) { return EachEntry(b, d, [&](const auto& e) { return Pair(b, e); }); }}},
  };
  return methods;
}

// `loop.cycle(a, b)`: a and b in turn.
Value Cycle(const Loop& loop, const Arguments& arguments) {
  const size_t count = arguments.positional.size();
  if (count == 0 || !arguments.named.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "loop.cycle: takes values without names");
  }
  return arguments.positional[loop.index % count];
}

}  // namespace

bool HasMethod(const Value& object, std::string_view name) {
  if (object.string()) return TextMethods().contains(name);
  if (object.dict()) return DictMethods().contains(name);
  return object.loop() && name == "cycle";
}

Value CallMethod(Budget& budget, const Value& object, std::string_view name,
                 const Arguments& arguments) {
  if (const Loop* loop = object.loop()) return Cycle(*loop, arguments);
  if (const Dict* dict = object.dict()) {
    const DictMethod& method = DictMethods().at(name);
    return method.call(budget, *dict, Bound(name, method.signature, arguments));
  }
  const TextMethod& method = TextMethods().at(name);
  return method.call(budget, *object.string(), Bound(name, method.signature, arguments));
}

}  // namespace crossover::tokenizer::jinja

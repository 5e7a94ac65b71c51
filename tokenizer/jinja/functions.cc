#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

const Dict& DictArgument(std::string_view function, const Arguments& arguments) {
  if (arguments.positional.size() > 1 || !arguments.positional[0].dict()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: one dictionary and named values are supported", function));
  }
  return *arguments.positional[0].dict();
}

Value MakeNamespace(Budget& budget, const Arguments& arguments) {
  auto names = std::make_shared<Namespace>(budget);
  if (!arguments.positional.empty()) {
    for (const Dict::Entry& entry : DictArgument("namespace", arguments).entries()) {
      budget.Work(2);
      names->Set(*entry.key.string(), entry.value);
    }
  }
  for (const auto& [key, value] : arguments.named) names->Set(key, value);
  return names;
}

Value MakeDict(Budget& budget, const Arguments& arguments) {
  DictBuilder dict(budget);
  if (!arguments.positional.empty()) {
    for (const Dict::Entry& entry : DictArgument("dict", arguments).entries()) {
      dict.Set(entry.key, entry.value);
    }
  }
  for (const auto& [key, value] : arguments.named) dict.Set(Value::Text(budget, key), value);
  return dict.Finish();
}

// (stop), (start, stop) or (start, stop, step).
Value Range(Budget& budget, const Arguments& arguments) {
  constexpr int64_t kMost = 100'000;  // a conversation is shorter
  static const Signature signature{{"start", "stop", "step"}, 1};
  const Bound given("range", signature, arguments);
  const auto number = [&](size_t i) {
    const int64_t n = given[i]->integer();
    if (n < -kMost || n > kMost) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("range: {} is too far", n));
    }
    return n;
  };
  const int64_t start = given[1] ? number(0) : 0;
  const int64_t stop = number(given[1] ? 1 : 0);
  const int64_t step = given[2] ? number(2) : 1;
  if (step == 0) throw Error(ErrorCode::kInvalidArgument, "range: a step of 0");
  ListBuilder list(budget);
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) list.Add(i);
  return list.Finish();
}

Value RaiseException(Budget& budget, const Arguments& arguments) {
  constexpr size_t kMostBytes = 500;  // of one line on a terminal
  static const Signature signature{{"message"}, 1};
  const Value message = Bound("raise_exception", signature, arguments)[0]->AsText(budget);
  throw Error(ErrorCode::kInvalidArgument, fmt::format("the model's chat template refuses: {}",
                                                       Shortened(*message.string(), kMostBytes)));
}

Value FormatTime(Budget& budget, const std::tm& now, const Arguments& arguments) {
  static const Signature signature{{"format"}, 1};
  const Bound given("strftime_now", signature, arguments);
  const std::string& format = given.Text(0);
  if (format.empty()) return *given[0];
  budget.Work(20);
  char buffer[256];
  const size_t size = format.size() < sizeof buffer && format.find('\0') == std::string::npos
                          ? std::strftime(buffer, sizeof buffer, format.c_str(), &now)
                          : 0;
  // A format such as "%p" may stand for nothing in some places of the world, but not in templates.
  if (size == 0) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("strftime_now: the format '{}' is not supported", Shortened(format)));
  }
  return Value::Text(budget, {buffer, size});
}

Value ElementAt(Budget& budget, const List& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.size());
  if (index < 0) index += size;
  if (index >= 0 && index < size) return list[static_cast<size_t>(index)];
  return Value::Missing(Value::Text(budget, "an element behind the end"));
}

Value CharacterAtIndex(Budget& budget, const std::string& text, int64_t index) {
  if (index < 0) index += static_cast<int64_t>(CountCharacters(budget, text));
  for (size_t i = 0; index >= 0 && i < text.size(); --index) {
    budget.Work(1);
    const std::string_view character = CharacterAt(text, i);
    if (index == 0) return Value::Text(budget, character);
    i += character.size();
  }
  return Value::Missing(Value::Text(budget, "a character behind the end"));
}

Value LoopAttribute(const Loop& loop, const Value& key) {
  const std::string_view name = *key.string();
  const auto index = static_cast<int64_t>(loop.index);
  const auto size = static_cast<int64_t>(loop.size);
  if (name == "index0") return index;
  if (name == "index") return index + 1;
  if (name == "revindex0") return size - index - 1;
  if (name == "revindex") return size - index;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == size;
  if (name == "length") return size;
  // How deep a recursive loop has called itself; there are no such loops here.
  if (name == "depth0") return int64_t{0};
  if (name == "depth") return int64_t{1};
  if (name == "previtem") return index > 0 ? loop.previous : Value::Missing(key);
  if (name == "nextitem") return index + 1 < size ? loop.next : Value::Missing(key);
  throw Error(ErrorCode::kUnsupported, fmt::format("'loop.{}' is not supported", Shortened(name)));
}

}  // namespace

void AddFunctions(std::tm now, Namespace& globals) {
  globals.Set("namespace", Value(Function(MakeNamespace)));
  globals.Set("dict", Value(Function(MakeDict)));
  globals.Set("range", Value(Function(Range)));
  globals.Set("raise_exception", Value(Function(RaiseException)));
  globals.Set("strftime_now", Value(Function([now](Budget& budget, const Arguments& arguments) {
                return FormatTime(budget, now, arguments);
              })));
}

Value GetItem(Budget& budget, const Value& object, const Value& key) {
  if (object.is_undefined()) {
    const Value name = key.AsText(budget);
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} has no '{}'", object.description(), Shortened(*name.string())));
  }
  if (const std::string* name = key.string()) {
    const Value* found = nullptr;
    if (object.dict()) found = object.dict()->Find(budget, *name);
    if (object.names()) found = object.names()->Find(*name);
    if (object.loop()) return LoopAttribute(*object.loop(), key);
    return found ? *found : Value::Missing(key);
  }
  if (key.is_number() && object.list()) return ElementAt(budget, *object.list(), key.integer());
  if (key.is_number() && object.string()) {
    return CharacterAtIndex(budget, *object.string(), key.integer());
  }
  return key.is_number() ? Value::Missing(key.AsText(budget)) : Value();
}

Value GetPath(Budget& budget, const Value& object, const Value& path) {
  const std::string* text = path.string();
  if (text == nullptr) return GetItem(budget, object, path);
  Value at = object;
  for (size_t begin = 0; begin <= text->size();) {
    const size_t end = std::min(text->find('.', begin), text->size());
    const std::string_view part = std::string_view(*text).substr(begin, end - begin);
    budget.Work(1);
    const bool number = !part.empty() && part.size() < 10 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    at = GetItem(budget, at,
                 number ? Value(int64_t{std::stol(std::string(part))}) : Value::Text(budget, part));
    begin = end + 1;
  }
  return at;
}

}  // namespace crossover::tokenizer::jinja

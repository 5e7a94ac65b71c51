#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

Value MakeNamespace(const Arguments& arguments) {
  auto names = std::make_shared<Namespace>();
  for (const Value& dict : arguments.positional) {
    if (!dict.dict()) throw Error(ErrorCode::kInvalidArgument, "namespace: a dictionary is needed");
    for (const auto& [key, value] : dict.dict()->entries()) names->attributes[key] = value;
  }
  for (const auto& [key, value] : arguments.named) names->attributes[key] = value;
  return names;
}

Value MakeDict(const Arguments& arguments) {
  Dict dict;
  for (const auto& [key, value] : arguments.named) dict.Set(key, value);
  return dict;
}

// (stop), (start, stop) or (start, stop, step).
Value Range(const Arguments& arguments) {
  constexpr int64_t kMost = 100'000;  // a conversation is shorter
  const size_t given = arguments.positional.size();
  if (given == 0) throw Error(ErrorCode::kInvalidArgument, "range: an end is needed");
  const auto number = [&](size_t i) {
    const int64_t n = arguments.positional[i].integer();
    if (n < -kMost || n > kMost) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("range: {} is too far", n));
    }
    return n;
  };
  const int64_t start = given > 1 ? number(0) : 0;
  const int64_t stop = number(given > 1 ? 1 : 0);
  const int64_t step = given > 2 ? number(2) : 1;
  if (step == 0) throw Error(ErrorCode::kInvalidArgument, "range: a step of 0");
  List list;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) list.emplace_back(i);
  return list;
}

// The characters that a message may not have would break the line of the error.
Value RaiseException(const Arguments& arguments) {
  const Value* message = arguments.Find(0, "message");
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("the model's chat template refuses: {}", message ? message->text() : ""));
}

Value ElementAt(const List& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Undefined{"an element behind the end"};
  return list[static_cast<size_t>(index)];
}

}  // namespace

void AddFunctions(std::tm now, Namespace& globals) {
  const auto add = [&](const char* name, Function function) {
    globals.attributes[name] = Value(std::move(function));
  };
  add("namespace", MakeNamespace);
  add("dict", MakeDict);
  add("range", Range);
  add("raise_exception", RaiseException);
  add("strftime_now", [now](const Arguments& arguments) -> Value {
    const Value* format = arguments.Find(0, "format");
    if (!format) throw Error(ErrorCode::kInvalidArgument, "strftime_now: a format is needed");
    char buffer[256];
    const size_t size = std::strftime(buffer, sizeof buffer, format->text().c_str(), &now);
    return std::string(buffer, size);
  });
}

Value GetItem(const Value& object, const Value& key) {
  if (object.is_undefined()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} has no '{}'", object.description(), key.text()));
  }
  if (const std::string* name = key.string()) {
    const Value* found = object.dict() ? object.dict()->Find(*name) : nullptr;
    if (const Namespace* names = object.names()) {
      const auto attribute = names->attributes.find(*name);
      if (attribute != names->attributes.end()) found = &attribute->second;
    }
    return found ? *found : Value(Undefined{*name});
  }
  if (key.is_number() && (object.list() || object.string())) {
    return ElementAt(Elements(object), key.integer());
  }
  return Undefined{key.is_number() ? key.text() : ""};
}

}  // namespace crossover::tokenizer::jinja

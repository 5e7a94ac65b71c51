#include "serve/api/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "serve/api/api_error.h"

namespace crossover::serve {

using nlohmann::json;

Fields::Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (object_.is_object()) return;
  const std::string name = where_.empty() ? "the body" : where_.substr(0, where_.size() - 1);
  throw ApiError(400, fmt::format("{} is {}, not an object", name, object_.type_name()), name);
}

void Fields::Fail(const std::string& name, const std::string& what) const {
  throw ApiError(400, fmt::format("'{}{}': {}", where_, name, what), where_ + name);
}

const json* Fields::Find(const std::string& name) {
  known_.insert(name);
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<double> Fields::Number(const std::string& name, double low, double high) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) Fail(name, fmt::format("a number, not {}", value->type_name()));
  const double number = value->get<double>();
  if (!(number >= low && number <= high)) {
    Fail(name, fmt::format("{} is not from {} to {}", number, low, high));
  }
  return number;
}

std::optional<size_t> Fields::Whole(const std::string& name, size_t low, size_t high) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    Fail(name, fmt::format("a whole number, not {}",
                           value->is_number() ? DumpJson(*value) : value->type_name()));
  }
  const bool negative = !value->is_number_unsigned() && value->get<int64_t>() < 0;
  if (negative || value->get<uint64_t>() < low || value->get<uint64_t>() > high) {
    Fail(name, fmt::format("{} is not from {} to {}", DumpJson(*value), low, high));
  }
  return value->get<size_t>();
}

std::optional<bool> Fields::Bool(const std::string& name) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) Fail(name, fmt::format("true or false, not {}", value->type_name()));
  return value->get<bool>();
}

std::optional<std::string> Fields::Text(const std::string& name) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Fail(name, fmt::format("a string, not {}", value->type_name()));
  return value->get<std::string>();
}

std::vector<std::string> Fields::Texts(const std::string& name, size_t most) {
  const json* value = Find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) Fail(name, fmt::format("a string or a list, not {}", value->type_name()));
  if (value->size() > most) Fail(name, fmt::format("{} of them; at most {}", value->size(), most));
  std::vector<std::string> texts;
  for (const json& element : *value) {
    if (!element.is_string()) Fail(name, fmt::format("{} among strings", element.type_name()));
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

void Fields::Ignore(std::initializer_list<const char*> names) {
  for (const char* name : names) known_.insert(name);
}

void Fields::RefuseUnless(const std::string& name, double neutral, std::string_view why) {
  const json* value = Find(name);
  if (value == nullptr) return;
  const bool is_neutral = value->is_number()    ? value->get<double>() == neutral
                          : value->is_boolean() ? !value->get<bool>()
                                                : value->empty() || *value == "";
  if (!is_neutral) Fail(name, std::string(why));
}

void Fields::RefuseOthers() const {
  for (const auto& [name, value] : object_.items()) {
    if (known_.contains(name)) continue;
    throw ApiError(400, fmt::format("'{}{}' is not known here", where_, name), where_ + name,
                   "unknown_parameter");
  }
}

json ParseBody(std::string_view text) {
  try {
    json body = ParseJson(
        text,
        {.name = "the body", .code = ErrorCode::kInvalidArgument, .remedy = "send a JSON object"});
    if (!body.is_object()) {
      throw ApiError(400, fmt::format("the body is {}, not a JSON object", body.type_name()));
    }
    return body;
  } catch (const Error& error) {
    throw ApiError(400, error.what());
  }
}

}  // namespace crossover::serve

#include "engine/files/json_object.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/file_kind.h"
#include "base/json.h"
#include "base/output_file.h"
#include "engine/files/gguf_cursor.h"

namespace crossover::engine {

using nlohmann::json;

JsonObject JsonObject::Read(const std::filesystem::path& path) {
  return Parse(ReadFile(path), path.string());
}

JsonObject JsonObject::Parse(std::string_view text, std::string name) {
  CheckIsData(text, name);
  json value = ParseJson(text, {.name = name});
  return {std::move(value), std::move(name)};
}

JsonObject::JsonObject(json value, std::string name)
    : value_(std::move(value)), name_(std::move(name)) {
  if (!value_.is_object()) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: holds no JSON object; fetch the file again", name_));
  }
}

const json* JsonObject::Find(std::string_view key) const {
  const auto it = value_.find(key);
  return it == value_.end() || it->is_null() ? nullptr : &*it;
}

std::vector<std::string> JsonObject::KeysBeside(std::span<const std::string_view> known) const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : value_.items()) {
    if (value.is_null() || std::ranges::find(known, key) != known.end()) continue;
    keys.push_back(Quoted(key));
  }
  return keys;
}

std::optional<uint64_t> JsonObject::FindCount(std::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned() ||
      value->get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
    Fail(key, "is no whole number from 0 to 4294967295");
  }
  return value->get<uint64_t>();
}

std::optional<double> JsonObject::FindFloat(std::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) Fail(key, "is no finite number");
  return value->get<double>();
}

std::optional<bool> JsonObject::FindBool(std::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) Fail(key, "is neither true nor false");
  return value->get<bool>();
}

std::optional<std::string> JsonObject::FindString(std::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Fail(key, "is no string");
  return value->get<std::string>();
}

std::optional<JsonObject> JsonObject::FindObject(std::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) Fail(key, "is no object");
  return JsonObject(*value, fmt::format("{}: {}", name_, key));
}

uint64_t JsonObject::Count(std::string_view key) const {
  const auto value = FindCount(key);
  if (!value) Fail(key, "is missing");
  return *value;
}

double JsonObject::Float(std::string_view key) const {
  const auto value = FindFloat(key);
  if (!value) Fail(key, "is missing");
  return *value;
}

JsonObject JsonObject::Object(std::string_view key) const {
  auto value = FindObject(key);
  if (!value) Fail(key, "is missing");
  return std::move(*value);
}

const json& JsonObject::Array(std::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr || !value->is_array()) Fail(key, "is missing or no array");
  return *value;
}

void JsonObject::Fail(std::string_view key, std::string_view what) const {
  throw Error(ErrorCode::kCorruptFile, fmt::format("{}: {} {}", name_, Quoted(key), what));
}

void JsonObject::Unsupported(std::string_view what) const {
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", name_, what));
}

}  // namespace crossover::engine

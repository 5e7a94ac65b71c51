// A JSON object of a model's directory, read by key, with errors that name file and key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::engine {

class JsonObject {
 public:
  /// Error(kNotFound, kIo), Error(kCorruptFile) if the file holds no JSON object.
  static JsonObject Read(const std::filesystem::path& path);
  /// `name` is what errors call it.
  static JsonObject Parse(std::string_view text, std::string name);
  JsonObject(nlohmann::json value, std::string name);

  const std::string& name() const { return name_; }
  const nlohmann::json& value() const { return value_; }

  /// nullptr if the key is absent or null: writers use both to say nothing.
  const nlohmann::json* Find(std::string_view key) const;

  /// Keys that say something and are not among `known`, in quotes.
  std::vector<std::string> KeysBeside(std::span<const std::string_view> known) const;

  // nullopt if absent; Error(kCorruptFile) if of another type or out of range. A count is at most
  // 2^32 - 1; a float is finite.
  std::optional<uint64_t> FindCount(std::string_view key) const;
  std::optional<double> FindFloat(std::string_view key) const;
  std::optional<bool> FindBool(std::string_view key) const;
  std::optional<std::string> FindString(std::string_view key) const;
  /// A copy that errors call "FILE: KEY".
  std::optional<JsonObject> FindObject(std::string_view key) const;

  // The same; Error(kCorruptFile) if absent.
  uint64_t Count(std::string_view key) const;
  double Float(std::string_view key) const;
  JsonObject Object(std::string_view key) const;
  const nlohmann::json& Array(std::string_view key) const;

  /// Error(kCorruptFile) "FILE: KEY what".
  [[noreturn]] void Fail(std::string_view key, std::string_view what) const;
  /// Error(kUnsupported) "FILE: what".
  [[noreturn]] void Unsupported(std::string_view what) const;

 private:
  nlohmann::json value_;
  std::string name_;
};

}  // namespace crossover::engine

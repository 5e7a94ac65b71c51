#include "quant/recipe_file.h"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"

namespace crossover::quant {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void Fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::kCorruptFile,
              fmt::format("{}: {}; make it with crossover allocate", path.string(), what));
}

const Json& Member(const Json& json, const char* key, Json::value_t type,
                   const std::filesystem::path& path) {
  const auto found = json.find(key);
  if (found == json.end() || found->type() != type) {
    Fail(path, fmt::format("is no recipe: \"{}\" is missing or of another type", key));
  }
  return *found;
}

/// A pattern that matches this name alone.
std::string Exactly(const std::string& name) {
  std::string pattern = "^";
  for (const char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

}  // namespace

std::vector<TensorOverride> RecipeFile::Overrides() const {
  std::vector<TensorOverride> overrides;
  for (const auto& [name, format] : tensors) overrides.push_back({Exactly(name), format});
  return overrides;
}

bool IsRecipeFile(std::string_view word) { return word.ends_with(".json"); }

RecipeFile ReadRecipeFile(const std::filesystem::path& path) {
  const Json json = ParseOrderedJson(ReadFile(path), {.name = path.string()});
  if (!json.is_object() || json.value("crossover_recipe", Json()) != 1) {
    Fail(path, "is no recipe of version 1");
  }
  RecipeFile file;
  file.base = Member(json, "base", Json::value_t::string, path).get<std::string>();
  FindRecipe(file.base);
  for (const auto& [name, value] : Member(json, "tensors", Json::value_t::object, path).items()) {
    const FormatInfo* format = value.is_string() ? FindFormat(value.get<std::string>()) : nullptr;
    if (format == nullptr) Fail(path, fmt::format("tensor {} has no format that is known", name));
    file.tensors.emplace_back(name, format->format);
  }
  return file;
}

}  // namespace crossover::quant

#include "tools/recipe_flags.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/regex.h"
#include "quant/g/g.h"
#include "quant/recipe_file.h"

namespace crossover::tools {
namespace {

std::string FormatNames() {
  std::string names;
  for (const quant::FormatInfo& format : quant::Formats()) {
    if (!quant::GShapeOf(format.format)) names.append(format.name).append(" ");
  }
  return names.append(quant::kGNames);
}

std::string CheckRecipe(const std::string& name) {
  if (quant::IsRecipeFile(name)) return "";
  try {
    quant::FindRecipe(name);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// The pattern may hold '=' itself, a format's name does not.
std::optional<quant::TensorOverride> ParseTensorType(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return std::nullopt;
  const quant::FormatInfo* format = quant::FindFormat(text.substr(equals + 1));
  if (format == nullptr) return std::nullopt;
  return quant::TensorOverride{text.substr(0, equals), format->format};
}

std::string CheckTensorType(const std::string& text) {
  const auto type = ParseTensorType(text);
  if (!type) return fmt::format("'{}' is not REGEX=FORMAT; formats: {}", text, FormatNames());
  try {
    const Regex pattern(type->pattern, Regex::Text::kBytes);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

const quant::Recipe& RecipeFlags::Recipe() const {
  return quant::FindRecipe(quant::IsRecipeFile(recipe) ? quant::ReadRecipeFile(recipe).base
                                                       : recipe);
}

quant::RecipeOptions RecipeFlags::Options() const {
  quant::RecipeOptions options;
  if (quant::IsRecipeFile(recipe)) {
    if (pure || !tensor_types.empty()) {
      throw UsageError(
          fmt::format("{} names the format of each tensor: --pure and --tensor-type do not go with "
                      "it",
                      recipe));
    }
    options.overrides = quant::ReadRecipeFile(recipe).Overrides();
    return options;
  }
  options.pure = pure;
  for (const std::string& text : tensor_types) options.overrides.push_back(*ParseTensorType(text));
  return options;
}

Flag AddRecipe(const Subcommand& command, RecipeFlags& flags) {
  return command
      .Add("recipe", flags.recipe,
           "One of " + quant::RecipeNames() + "; or a file.json of crossover allocate")
      .Check(CheckRecipe);
}

void AddRecipeOptions(const Subcommand& command, RecipeFlags& flags) {
  command.Switch("--pure", flags.pure, "The recipe's base format everywhere");
  command
      .Add("--tensor-type", flags.tensor_types,
           "A format for the tensors whose names match; may be repeated, first match wins")
      .Type("REGEX=FORMAT")
      .OneWord()
      .Check(CheckTensorType);
}

}  // namespace crossover::tools

// The words that say which format each tensor gets, for every subcommand that writes weights.
#pragma once

#include <string>
#include <vector>

#include "quant/recipe.h"
#include "tools/flags.h"

namespace crossover::tools {

struct RecipeFlags {
  std::string recipe;
  bool pure = false;
  std::vector<std::string> tensor_types;  // REGEX=FORMAT

  /// All as parsed and checked by the options below. Error of ReadRecipeFile where the recipe is a
  /// file.
  const quant::Recipe& Recipe() const;
  quant::RecipeOptions Options() const;
};

/// The positional `recipe`.
Flag AddRecipe(const Subcommand& command, RecipeFlags& flags);
/// --pure and --tensor-type.
void AddRecipeOptions(const Subcommand& command, RecipeFlags& flags);

}  // namespace crossover::tools

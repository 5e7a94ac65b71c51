// A plan's words for how a cell's file is made: a recipe, or a recipe's base format alone.
#pragma once

#include <string>
#include <string_view>

#include "quant/recipe.h"

namespace crossover::bench {

struct PlanRecipe {
  std::string name = {};  // as records and tables have it
  const quant::Recipe* recipe = nullptr;
  quant::RecipeOptions options = {};
};

/// "Q4_K_M"; or "Q2_K pure": Q2_K everywhere, in the embedding and the output matrix too, which
/// recipes store more finely and which are most of a small model. Error(kInvalidArgument) as
/// FindRecipe's, or for the pure form of what quantises nothing.
PlanRecipe FindPlanRecipe(std::string_view words);

}  // namespace crossover::bench

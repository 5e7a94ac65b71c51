// Whether each of a recipe's overrides has a tensor to decide about.
#pragma once

#include <span>

#include "quant/recipe.h"

namespace crossover::quant {

/// Error(kInvalidArgument) if one of the overrides decides nothing: its pattern matches no tensor,
/// or only such as are never quantised, or only what an earlier pattern has; or the recipe does not
/// quantise at all.
void CheckOverrides(const Recipe& recipe, std::span<const TensorFacts> tensors,
                    const RecipeOptions& options);

}  // namespace crossover::quant

// A recipe as a file: a format for each tensor by name, as `crossover allocate` finds it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "quant/recipe.h"

namespace crossover::quant {

struct RecipeFile {
  std::string base;  // the recipe of all tensors that are not named
  std::vector<std::pair<std::string, Format>> tensors;

  /// The named tensors as overrides that match nothing else.
  std::vector<TensorOverride> Overrides() const;
};

/// Whether a word on the command line means a file.
bool IsRecipeFile(std::string_view word);

/// {"crossover_recipe": 1, "base": "Q3_K_S", "tensors": {NAME: FORMAT, …}}; other keys are notes
/// for people. Error(kNotFound, kIo); Error(kCorruptFile) names the key.
RecipeFile ReadRecipeFile(const std::filesystem::path& path);

}  // namespace crossover::quant

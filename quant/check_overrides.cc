#include "quant/check_overrides.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/regex.h"
#include "quant/tensor_role.h"

namespace crossover::quant {
namespace {

/// Why `pattern` decides nothing; empty if it does. Tensors that it decides are marked.
std::string WhyIdle(const std::string& pattern, std::span<const TensorFacts> tensors,
                    std::vector<bool>& decided) {
  const Regex regex(pattern, Regex::Text::kBytes);
  const TensorFacts* kept = nullptr;
  const TensorFacts* taken = nullptr;
  bool decides = false;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!regex.MatchesIn(tensors[i].name)) continue;
    if (!MayQuantize(tensors[i].name, tensors[i].shape)) {
      kept = &tensors[i];
    } else if (decided[i]) {
      taken = &tensors[i];
    } else {
      decided[i] = true;
      decides = true;
    }
  }
  if (decides) return "";
  if (taken != nullptr) {
    return fmt::format("an earlier pattern has all that it matches ({}); the first match wins",
                       taken->name);
  }
  if (kept != nullptr) {
    return fmt::format("all that it matches is never quantised ({})", kept->name);
  }
  return tensors.empty() ? "there are no tensors"
                         : fmt::format("no tensor's name matches it; such as {} are there",
                                       tensors.back().name);
}

}  // namespace

void CheckOverrides(const Recipe& recipe, std::span<const TensorFacts> tensors,
                    const RecipeOptions& options) {
  std::vector<bool> decided(tensors.size());
  for (const TensorOverride& override : options.overrides) {
    const std::string why = Info(recipe.base).quantized
                                ? WhyIdle(override.pattern, tensors, decided)
                                : fmt::format("{} quantises nothing", recipe.name);
    if (why.empty()) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tensor pattern '{}' has no effect: {}", override.pattern, why));
  }
}

}  // namespace crossover::quant

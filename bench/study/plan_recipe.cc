#include "bench/study/plan_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "quant/format.h"

namespace crossover::bench {

PlanRecipe FindPlanRecipe(std::string_view words) {
  constexpr std::string_view kPure = " pure";
  PlanRecipe found;
  found.options.pure = words.ends_with(kPure);
  if (found.options.pure) words.remove_suffix(kPure.size());
  found.recipe = &quant::FindRecipe(words);
  found.name = found.recipe->name;
  if (!found.options.pure) return found;
  if (!quant::Info(found.recipe->base).quantized) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{} pure' is '{}', which quantises nothing", found.name, found.name));
  }
  found.name += kPure;
  return found;
}

}  // namespace crossover::bench

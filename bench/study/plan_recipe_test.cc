#include "bench/study/plan_recipe.h"

#include "base/error.h"
#include "quant/format.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

TEST_CASE("a plan's recipe: by name, or its base format everywhere") {
  const PlanRecipe plain = FindPlanRecipe("q4_k");
  CHECK(plain.name == "Q4_K_M");
  CHECK_FALSE(plain.options.pure);
  const PlanRecipe pure = FindPlanRecipe("q2_k pure");
  CHECK(pure.name == "Q2_K pure");
  CHECK(pure.recipe->name == "Q2_K");
  CHECK(pure.options.pure);
  CHECK(FindPlanRecipe(pure.name).name == pure.name);
  for (const char* words :
       {"F16 pure", "Q9 pure", "pure", " pure", "Q2_K  pure", "Q2_K pure pure"}) {
    CAPTURE(words);
    CHECK_THROWS_AS(FindPlanRecipe(words), Error);
  }
}

}  // namespace
}  // namespace crossover::bench

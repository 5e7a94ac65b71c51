#include "quant/recipe_file.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/output_file.h"
#include "quant/format_list.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

TEST_CASE(
    "recipe file: each tensor gets the format that stands beside its name, the rest the base") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "r.json";
  WriteFile(path, R"({"crossover_recipe": 1, "note": [1], "base": "G3_64",
                      "tensors": {"blk.1.attn_q.weight": "Q6_K", "blk.0.ffn_up.weight": "g2_64z"}})");
  const RecipeFile file = ReadRecipeFile(path);
  std::vector<TensorFacts> tensors;
  for (const char* name : {"blk.1.attn_q.weight", "blk.11.attn_q.weight", "blkx1.attn_q.weight",
                           "blk.0.ffn_up.weight"}) {
    tensors.push_back({name, {256, 256}, F32::kFormat});
  }
  RecipeOptions options;
  options.overrides = file.Overrides();
  const auto choices = PlanRecipe(FindRecipe(file.base), {}, tensors, options);
  const Format base = FindFormat("G3_64")->format;
  CHECK(choices[0].format == Q6_K::kFormat);
  CHECK(choices[1].format == base);
  CHECK(choices[2].format == base);
  CHECK(choices[3].format == FindFormat("G2_64Z")->format);
}

TEST_CASE("recipe file: what is none says so in a line") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "r.json";
  for (const char* text :
       {"", "[]", "{}", R"({"crossover_recipe": 2, "base": "G3", "tensors": {}})",
        R"({"crossover_recipe": 1, "tensors": {}})", R"({"crossover_recipe": 1, "base": "G3"})",
        R"({"crossover_recipe": 1, "base": "Q9", "tensors": {}})",
        R"({"crossover_recipe": 1, "base": "G3", "tensors": {"a": "Q9"}})",
        R"({"crossover_recipe": 1, "base": "G3", "tensors": {"a": 3}})"}) {
    CAPTURE(text);
    WriteFile(path, text);
    CHECK_THROWS_AS(ReadRecipeFile(path), Error);
  }
}

}  // namespace
}  // namespace crossover::quant

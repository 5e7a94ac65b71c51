#include "quant/check_overrides.h"

#include <string>
#include <vector>

#include "quant/format_list.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

std::string Refusal(const char* recipe, const std::vector<std::string>& patterns) {
  const std::vector<TensorFacts> tensors{{"token_embd.weight", {256, 512}, F16::kFormat},
                                         {"blk.0.attn_norm.weight", {256}, F32::kFormat},
                                         {"blk.0.attn_v.weight", {256, 256}, F16::kFormat},
                                         {"blk.0.attn_q.weight", {256, 256}, F16::kFormat}};
  RecipeOptions options;
  for (const std::string& pattern : patterns) options.overrides.push_back({pattern, Q8_0::kFormat});
  return test::RefusalOf([&] { CheckOverrides(FindRecipe(recipe), tensors, options); });
}

TEST_CASE("an override that decides nothing is refused, with the reason") {
  using test::Contains;
  CHECK(Refusal("Q4_0", {}).empty());
  CHECK(Refusal("Q4_0", {"attn_v"}).empty());
  CHECK(Refusal("Q4_0", {"attn_v", "attn"}).empty());
  CHECK(Contains(Refusal("Q4_0", {"nosuch"}), "'nosuch' has no effect: no tensor's name"));
  CHECK(Contains(Refusal("Q4_0", {"attn_v", "nosuch"}), "'nosuch'"));
  CHECK(Contains(Refusal("Q4_0", {"norm"}), "never quantised"));
  CHECK(Contains(Refusal("Q4_0", {"attn", "attn_v"}), "'attn_v' has no effect: an earlier"));
  CHECK(Contains(Refusal("BF16", {"attn_v"}), "BF16 quantises nothing"));
}

}  // namespace
}  // namespace crossover::quant

#include "evals/perplexity.h"

#include <cmath>
#include <numeric>

#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

ChunkPlan Plan(size_t context, size_t chunks) {
  ChunkPlan plan;
  plan.context = context;
  plan.chunks = chunks;
  plan.first = context / 2;
  return plan;
}

TEST_CASE("perplexity: 512 tokens score 255 positions, odd contexts round down") {
  CHECK(Plan(512, 1).scored_per_chunk() == 255);
  CHECK(Plan(4, 1).scored_per_chunk() == 1);
  CHECK(Plan(7, 1).scored_per_chunk() == 3);
}

TEST_CASE("perplexity: BOS replaces a chunk's first input but never a target") {
  std::vector<TokenId> tokens(16);
  std::iota(tokens.begin(), tokens.end(), 100);
  ChunkPlan plan = Plan(8, 2);
  CHECK(plan.Input(tokens, 1) == std::vector<TokenId>{108, 109, 110, 111, 112, 113, 114});
  plan.replace_by_bos = true;
  plan.bos = 1;
  CHECK(plan.Input(tokens, 0) == std::vector<TokenId>{1, 101, 102, 103, 104, 105, 106});
  CHECK(plan.Input(tokens, 1) == std::vector<TokenId>{1, 109, 110, 111, 112, 113, 114});
  // First scored input is position 4, which predicts token 5.
  CHECK(plan.Target(tokens, 0, 0) == 105);
  CHECK(plan.Target(tokens, 1, 2) == 115);
}

TEST_CASE("perplexity: figures of two chunks by hand") {
  const ChunkPlan plan = Plan(6, 2);  // 2 scored positions each
  REQUIRE(plan.scored_per_chunk() == 2);
  const std::vector<double> nll = {1.0, 3.0, 2.0, 4.0};
  const PerplexityResult result = SummarisePerplexity(nll, plan);
  CHECK(result.tokens == 4);
  CHECK(result.chunks == 2);
  CHECK(result.ppl == doctest::Approx(std::exp(2.5)));
  REQUIRE(result.running.size() == 2);
  CHECK(result.running[0] == doctest::Approx(std::exp(2.0)));
  CHECK(result.running[1] == doctest::Approx(std::exp(2.5)));
  CHECK(result.ppl_stderr == doctest::Approx(std::exp(2.5) * std::sqrt(1.25 / 3)));
  // Chunk means 2 and 3: standard deviation sqrt(0.5), over sqrt(2).
  CHECK(result.ppl_block_stderr == doctest::Approx(std::exp(2.5) * 0.5));
}

TEST_CASE("perplexity: one chunk has no error from the spread of chunks") {
  const std::vector<double> nll = {1.0, 3.0};
  CHECK(std::isnan(SummarisePerplexity(nll, Plan(6, 1)).ppl_block_stderr));
}

}  // namespace
}  // namespace crossover::evals

#include "evals/pass_runner.h"

#include <random>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("pass_runner: whole segments fill a pass in order") {
  const std::vector<TokenId> tokens(100, 1);
  const std::span<const TokenId> all(tokens);
  const std::vector<Segment> segments = {
      {0, all.first(40), 39}, {1, all.first(50), 49}, {2, all.first(20), 19}, {3, {}, 0}};
  const auto passes = PackPasses(segments, 100, 100);
  REQUIRE(passes.size() == 2);
  REQUIRE(passes[0].size() == 2);
  CHECK(passes[0][1].segment == 1);
  CHECK(passes[0][1].end == 50);
  REQUIRE(passes[1].size() == 1);
  CHECK(passes[1][0].segment == 2);
}

TEST_CASE("pass_runner: any segments under any limits") {
  std::mt19937 random(5);
  const std::vector<TokenId> tokens(300, 1);
  for (int round = 0; round < 300; ++round) {
    const size_t max_tokens = 1 + random() % 64;
    const size_t max_rows = 1 + random() % 32;
    std::vector<Segment> segments;
    for (size_t s = 0; s < 1 + random() % 9; ++s) {
      const size_t size = random() % 200;
      segments.push_back({static_cast<engine::SequenceId>(s), std::span(tokens).first(size),
                          random() % (size + 2)});
    }
    std::vector<size_t> fed(segments.size(), 0);
    for (const auto& pass : PackPasses(segments, max_tokens, max_rows)) {
      size_t pass_tokens = 0;
      size_t pass_rows = 0;
      std::vector<bool> seen(segments.size(), false);
      for (const Piece& piece : pass) {
        CHECK(piece.begin < piece.end);
        CHECK(piece.begin == fed[piece.segment]);  // in order, nothing left out
        CHECK_FALSE(seen[piece.segment]);
        seen[piece.segment] = true;
        fed[piece.segment] = piece.end;
        pass_tokens += piece.end - piece.begin;
        for (size_t t = piece.begin; t < piece.end; ++t) {
          pass_rows += t >= segments[piece.segment].logits_from ? 1 : 0;
        }
      }
      CHECK(!pass.empty());
      CHECK(pass_tokens <= max_tokens);
      CHECK(pass_rows <= max_rows);
    }
    for (size_t s = 0; s < segments.size(); ++s) CHECK(fed[s] == segments[s].tokens.size());
  }
}

}  // namespace
}  // namespace crossover::evals

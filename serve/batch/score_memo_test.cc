#include "serve/batch/score_memo.h"

#include <doctest/doctest.h>

namespace crossover::serve {
namespace {

std::vector<TokenScore> ScoresOf(const std::vector<TokenId>& tokens) {
  std::vector<TokenScore> scores;
  for (size_t i = 1; i < tokens.size(); ++i) scores.push_back({tokens[i], -0.5 * tokens[i], {}});
  return scores;
}

void Keep(ScoreMemo& memo, const std::vector<TokenId>& tokens, size_t top = 1) {
  memo.Keep(tokens, top, ScoresOf(tokens));
}

/// How much of `tokens` is known; checks that the scores are its tokens'.
size_t Known(ScoreMemo& memo, const std::vector<TokenId>& tokens, size_t top = 1) {
  std::vector<TokenScore> scores;
  const size_t length = memo.Recall(tokens, top, scores);
  REQUIRE(scores.size() == (length == 0 ? 0 : length - 1));
  for (size_t i = 0; i < scores.size(); ++i) {
    CHECK(scores[i].id == tokens[i + 1]);
    CHECK(scores[i].log_p == -0.5 * tokens[i + 1]);
  }
  return length;
}

TEST_CASE("score_memo: knows what texts begin with") {
  ScoreMemo memo(1000);
  CHECK(Known(memo, {1, 2, 3}) == 0);
  Keep(memo, {1, 2, 3, 4, 5});
  Keep(memo, {1, 2, 9});
  Keep(memo, {7, 7, 7});
  CHECK(Known(memo, {1, 2, 3, 4, 5}) == 5);
  CHECK(Known(memo, {1, 2, 3, 4, 5, 6}) == 5);
  CHECK(Known(memo, {1, 2, 3, 8}) == 3);
  CHECK(Known(memo, {1, 2, 9, 1}) == 3);
  CHECK(Known(memo, {1, 2}) == 2);
  CHECK(Known(memo, {1, 5}) == 1);
  CHECK(Known(memo, {2, 2}) == 0);
}

TEST_CASE("score_memo: other numbers of alternatives are other texts") {
  ScoreMemo memo(1000);
  Keep(memo, {1, 2, 3}, 5);
  CHECK(Known(memo, {1, 2, 3}, 1) == 0);
  CHECK(Known(memo, {1, 2, 3}, 9) == 0);
  CHECK(Known(memo, {1, 2, 3}, 5) == 3);
}

TEST_CASE("score_memo: the text that was used least lately gives way") {
  ScoreMemo memo(9);
  Keep(memo, {1, 1, 1});
  Keep(memo, {2, 2, 2});
  Keep(memo, {3, 3, 3});
  CHECK(Known(memo, {1, 1, 1}) == 3);
  Keep(memo, {4, 4, 4});
  CHECK(Known(memo, {2, 2, 2}) == 0);
  CHECK(Known(memo, {1, 1, 1}) == 3);
  CHECK(memo.held_tokens() == 9);
  Keep(memo, std::vector<TokenId>(10, 5));
  CHECK(memo.held_tokens() == 9);
}

}  // namespace
}  // namespace crossover::serve

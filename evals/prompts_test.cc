#include "evals/prompts.h"

#include "base/error.h"
#include "evals/evaluate.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("prompts: few-shot examples are the first others, answered") {
  const std::vector<GenerationItem> sums = {{"1 + 1 =", "2"}, {"2 + 2 =", "4"}, {"3 + 3 = ", "6"}};
  CHECK(FewshotPrefix(sums, 0, 0).empty());
  CHECK(FewshotPrefix(sums, 0, 2) == "2 + 2 = 4\n\n3 + 3 = 6\n\n");
  CHECK(FewshotPrefix(sums, 2, 1) == "1 + 1 = 2\n\n");
  CHECK_THROWS_AS(FewshotPrefix(sums, 0, 3), Error);
  const std::vector<MultipleChoiceItem> choices = {{"A:", {" x", " y"}, 1},
                                                   {"B:", {" z", " w"}, 0}};
  CHECK(FewshotPrefix(choices, 1, 1) == "A: y\n\n");
}

TEST_CASE("prompts: too long a prompt loses tokens behind BOS") {
  std::vector<TokenId> tokens = {9, 1, 2, 3, 4};
  CHECK_FALSE(TruncateLeft(tokens, 5, true));
  CHECK(TruncateLeft(tokens, 3, true));
  CHECK(tokens == std::vector<TokenId>{9, 3, 4});
  CHECK(TruncateLeft(tokens, 2, false));
  CHECK(tokens == std::vector<TokenId>{3, 4});
}

TEST_CASE("prompts: characters are code points without the leading space") {
  CHECK(Characters(" abc") == 3);
  CHECK(Characters("abc") == 3);
  CHECK(Characters(" Ph\xC5\x93"
                   "be \xE2\x80\x9C") == 7);
}

TEST_CASE("prompts: an answer is out of reach once the text departs from it") {
  CHECK(CanStillMatch("", "12 30"));
  CHECK(CanStillMatch("  ", "12 30"));
  CHECK(CanStillMatch(" 12", "12 30"));
  CHECK(CanStillMatch(" 12 30", "12 30"));
  CHECK(CanStillMatch(" 12 30 ", "12 30"));
  CHECK_FALSE(CanStillMatch(" 13", "12 30"));
  CHECK_FALSE(CanStillMatch(" 12 301", "12 30"));
  CHECK_FALSE(CanStillMatch(" 12 30 1", "12 30"));
}

TEST_CASE("prompts: choices are ranked by sum and by sum per character, the first of equals") {
  const MultipleChoiceItem item = {"", {" ab", " abcdefgh", " cd"}, 1};
  ItemResult result;
  result.log_likelihood = {-2.0, -4.0, -2.0};
  Choose(item, result);
  CHECK(result.chosen == 0);
  CHECK(result.chosen_norm == 1);
  CHECK_FALSE(result.correct);
  CHECK(result.correct_norm);
}

}  // namespace
}  // namespace crossover::evals

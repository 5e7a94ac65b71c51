#include "evals/answer_reader.h"

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("answer reader: gsm8k's strict and flexible answers") {
  const TaskFile task = *FindTaskFile("gsm8k");
  const AnswerReader reader(task.generate);
  const auto strict = [&](const char* text) { return reader.Extract(0, text); };
  const auto flexible = [&](const char* text) { return reader.Extract(1, text); };
  CHECK(strict(" She has 2 + 3 = 5.\n#### 5\n\n") == "5");
  CHECK(strict("#### 1 #### 2") == "1");
  CHECK(strict("#### -1,234.50 dollars") == "-1,234.50");
  CHECK(strict("The answer is 5.") == "[invalid]");
  CHECK(strict("####5") == "[invalid]");
  CHECK(flexible("first 3, then $18 in all.") == "$18");
  CHECK(flexible("It is 18.") == "18.");
  CHECK(flexible("x = -7") == "-7");
  CHECK(flexible("none") == "[invalid]");
  CHECK(flexible("\xff 12 \xff") == "12");
}

TEST_CASE("answer reader: gsm8k's comparison") {
  const TaskFile task = *FindTaskFile("gsm8k");
  const AnswerReader reader(task.generate);
  const char* target = "He pays 2*$617 = $<<2*617=1234>>1234.\n#### 1,234";
  CHECK(reader.Same("1234", target));
  CHECK(reader.Same("$1,234.", target));
  CHECK_FALSE(reader.Same("1234.0", target));
  CHECK_FALSE(reader.Same("[invalid]", target));
  CHECK(reader.Same("ABC", "abc"));
}

TEST_CASE("answer reader: a pattern that would try without end is an error") {
  GenerateSpec spec;
  spec.extractions = {{"none", "(a+)+(b+)+$", false}};
  const AnswerReader reader(spec);
  CHECK_THROWS_AS(reader.Extract(0, std::string(64, 'a') + std::string(64, 'b') + "c"), Error);
  CHECK_THROWS_AS(CheckedPattern("(a"), Error);
  // Within bounds from each place, but there are many: it took minutes.
  spec.extractions = {{"none", "(?:x+x+)+y|a", true}};
  std::string many;
  for (size_t i = 0; i < 20'000; ++i) many += "xxxxxxxxxxxxxxxxxxa";
  CHECK_THROWS_AS(AnswerReader(spec).Extract(0, many), Error);
  CHECK(AnswerReader(spec).Extract(0, "xxa") == "a");
}

}  // namespace
}  // namespace crossover::evals

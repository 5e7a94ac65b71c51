#include "base/regex.h"

#include <string>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

TEST_CASE("regex: matches anywhere, if only nothing") {
  CHECK(Regex("ffn_(up|gate)").MatchesIn("blk.3.ffn_gate.weight"));
  CHECK_FALSE(Regex("^ffn").MatchesIn("blk.3.ffn_gate.weight"));
  CHECK(Regex("x*").MatchesIn("abc"));
  CHECK(Regex("").MatchesIn(""));
  CHECK_FALSE(Regex("x").MatchesIn(""));
  CHECK_THROWS_WITH_AS(Regex("(a"), doctest::Contains("pattern '(a'"), Error);
}

TEST_CASE("regex: texts of any bytes") {
  const Regex any("^blk.\xff$", Regex::Text::kBytes);
  CHECK(any.MatchesIn("blk.\xff"));
  CHECK(any.MatchesIn("blk\xc3\xff"));
  CHECK_FALSE(any.MatchesIn("blk.\xfe"));
  CHECK(Regex("^.$").MatchesIn("ü"));
  CHECK_FALSE(Regex("^.$", Regex::Text::kBytes).MatchesIn("ü"));
  // No pattern may turn the other reading on.
  CHECK_THROWS_AS(Regex("(*UTF)a", Regex::Text::kBytes), Error);
}

// A recursive matcher's stack ends on the first, its patience on the second.
TEST_CASE("regex: neither a long text nor a bad pattern brings a search down") {
  const std::string text(1'000'000, 'a');
  CHECK(Regex("^(a|b)*$", Regex::Text::kBytes).MatchesIn(text));
  CHECK_THROWS_AS(Regex("^(a|aa)+$").MatchesIn(std::string(200, 'a') + "b"), Error);
}

}  // namespace
}  // namespace crossover

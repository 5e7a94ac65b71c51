#include "engine/run/log_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

float Exp(float x) {
  ExpNonPositive({&x, 1});
  return x;
}

TEST_CASE("log_softmax: exp within 2 ulp where float32 has normal numbers") {
  double worst = 0;
  for (int i = 0; i <= 870000; ++i) {
    const float x = -static_cast<float>(i) * 1e-4f;
    const double exact = std::exp(static_cast<double>(x));
    const double ulp = std::ldexp(1.0, std::ilogb(exact) - 23);
    if (x > -87.0f) worst = std::max(worst, std::abs(Exp(x) - exact) / ulp);
  }
  CHECK(worst < 2);
  CHECK(worst > 0.1);  // a float32 result cannot be exact throughout
  CHECK(Exp(0.0f) == 1.0f);
  CHECK(Exp(-87.5f) == Exp(-87.0f));
  CHECK(Exp(-std::numeric_limits<float>::max()) == Exp(-87.0f));
  CHECK(Exp(-std::numeric_limits<float>::infinity()) < 2e-38f);
}

TEST_CASE("log_softmax: agrees with double arithmetic on rows of any length") {
  std::mt19937 random(7);
  std::normal_distribution<float> logit(0, 5);
  for (const size_t n : {size_t{1}, size_t{2}, size_t{15}, size_t{16}, size_t{17}, size_t{4099}}) {
    CAPTURE(n);
    std::vector<float> logits(n);
    for (float& v : logits) v = logit(random);
    const RowNormaliser row = Normalise(logits);
    REQUIRE(row.finite);
    CHECK(row.maximum == *std::max_element(logits.begin(), logits.end()));
    CHECK(row.minimum == *std::min_element(logits.begin(), logits.end()));
    double sum = 0;
    for (const float v : logits) sum += std::exp(static_cast<double>(v));
    const auto last = static_cast<tokenizer::TokenId>(n - 1);
    CHECK(LogProbability(row, logits, last) ==
          doctest::Approx(static_cast<double>(logits.back()) - std::log(sum)).epsilon(1e-6));
  }
}

TEST_CASE("log_softmax: the first of equal maxima") {
  std::vector<float> logits(100, 1.0f);
  CHECK(FindExtremes(logits).argmax == 0);
  logits[37] = logits[80] = 2.0f;
  CHECK(FindExtremes(logits).argmax == 37);
}

TEST_CASE("log_softmax: a value that is not finite is seen wherever it stands") {
  for (const size_t n : {size_t{5}, size_t{64}, size_t{70}}) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      for (size_t at = 0; at < n; ++at) {
        std::vector<float> logits(n, 0.5f);
        CHECK(Normalise(logits).finite);
        logits[at] = bad;
        CHECK_FALSE(Normalise(logits).finite);
      }
    }
  }
}

}  // namespace
}  // namespace crossover::engine

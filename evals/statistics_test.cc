#include "evals/statistics.h"

#include <cmath>

#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("statistics: moments of 1, 2, 3, 4") {
  Moments moments;
  for (const double x : {1.0, 2.0, 3.0, 4.0}) moments.Add(x);
  CHECK(moments.count() == 4);
  CHECK(moments.mean() == 2.5);
  // Biased variance 30/4 - 6.25 = 1.25, over n - 1 = 3.
  CHECK(moments.standard_error() == doctest::Approx(std::sqrt(1.25 / 3)));
  CHECK(ExpOfMean(moments).value == doctest::Approx(std::exp(2.5)));
  CHECK(ExpOfMean(moments).standard_error == doctest::Approx(std::exp(2.5) * std::sqrt(1.25 / 3)));
}

TEST_CASE("statistics: equal observations have no spread, one has none to speak of") {
  Moments moments;
  moments.Add(0.1);
  CHECK(std::isnan(moments.standard_error()));
  for (int i = 0; i < 999; ++i) moments.Add(0.1);
  CHECK(moments.standard_error() < 1e-8);
}

TEST_CASE("statistics: a proportion") {
  const Estimate p = Proportion(3, 10);
  CHECK(p.value == doctest::Approx(0.3));
  CHECK(p.standard_error == doctest::Approx(std::sqrt(0.3 * 0.7 / 9)));
  CHECK(Proportion(5, 5).standard_error == 0);
  CHECK(std::isnan(Proportion(1, 1).standard_error));
}

}  // namespace
}  // namespace crossover::evals

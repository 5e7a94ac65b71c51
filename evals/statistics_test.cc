#include "evals/statistics.h"

#include <cmath>
#include <vector>

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

TEST_CASE("statistics: pairs that move together differ with little error") {
  PairedMoments pairs;
  const std::vector<double> x = {1, 2, 3, 6};
  const std::vector<double> y = {0.5, 1.75, 2.5, 5.25};
  for (size_t i = 0; i < x.size(); ++i) pairs.Add(x[i], y[i]);
  // Differences 0.5, 0.25, 0.5, 0.75: mean 0.5, biased variance 0.03125.
  CHECK(pairs.difference().value == doctest::Approx(0.5));
  CHECK(pairs.difference().standard_error == doctest::Approx(std::sqrt(0.03125 / 3)));
  // Σxy = 43.  E[xy] - E[x] E[y] = 10.75 - 3 · 2.5.
  CHECK(pairs.covariance() == doctest::Approx(3.25 / 3));
  const double sx = pairs.x().standard_error();
  const double sy = pairs.y().standard_error();
  CHECK(pairs.correlation() == doctest::Approx(3.25 / 3 / (sx * sy)));
  CHECK(pairs.difference().standard_error ==
        doctest::Approx(std::sqrt(sx * sx + sy * sy - 2 * pairs.covariance())));
}

TEST_CASE("statistics: blocks") {
  const std::vector<double> values = {1, 3, 2, 4, 3, 5, 5, 7};  // means 2, 3, 4, 6
  // Deviations -1.75, -0.75, 0.25, 2.25: squares sum to 8.75, neighbours' products to 1.6875.
  CHECK(BlockStandardError(values, 2) == doctest::Approx(std::sqrt(8.75 / 3 / 4)));
  CHECK(BlockAutocorrelation(values, 2) == doctest::Approx(1.6875 / 8.75));
  CHECK(std::isnan(BlockStandardError(values, 8)));
  CHECK(std::isnan(BlockAutocorrelation(values, 4)));
}

TEST_CASE("statistics: quantiles between two observations") {
  const std::vector<float> sorted = {1, 2, 4, 8};
  CHECK(Quantile(sorted, 0) == 1);
  CHECK(Quantile(sorted, 1) == 8);
  CHECK(Quantile(sorted, 0.5) == 3);
  CHECK(Quantile(sorted, 0.9) == doctest::Approx(4 + 0.7 * 4));
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

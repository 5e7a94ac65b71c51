#include "bench/summary.h"

#include <cmath>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

TEST_CASE("the median of odd and even counts, and the extremes") {
  const Summary odd = Summarise(std::vector<double>{3, 1, 10});
  CHECK(odd.median == 3);
  CHECK(odd.min == 1);
  CHECK(odd.max == 10);
  CHECK(Summarise(std::vector<double>{4, 1, 2, 10}).median == 3);
  CHECK(Summarise(std::vector<double>{}).median == 0);
}

TEST_CASE("a straight line is found with R² = 1") {
  const LinearFit fit = FitLine(std::vector<double>{1, 2, 4}, std::vector<double>{5, 7, 11});
  CHECK(fit.slope == doctest::Approx(2));
  CHECK(fit.intercept == doctest::Approx(3));
  CHECK(fit.r_squared == doctest::Approx(1));
}

TEST_CASE("R² of what is no line is small, by hand") {
  // ŷ = 1/3 for all x (the slope is 0 by symmetry).
  const LinearFit fit = FitLine(std::vector<double>{0, 1, 2}, std::vector<double>{0, 1, 0});
  CHECK(fit.slope == doctest::Approx(0));
  CHECK(fit.r_squared == doctest::Approx(0));
}

TEST_CASE("Student's t, as tables have it") {
  CHECK(StudentT95(1) == doctest::Approx(12.706).epsilon(1e-4));
  CHECK(StudentT95(2) == doctest::Approx(4.3027).epsilon(1e-4));
  CHECK(StudentT95(5) == doctest::Approx(2.5706).epsilon(1e-4));
  CHECK(StudentT95(30) == doctest::Approx(2.0423).epsilon(1e-4));
}

TEST_CASE("a fit's band, by hand") {
  // y = x with residuals 1, -2, 1: s = sqrt(6 / 1), narrowest at the mean.
  const LinearFit fit = FitLine(std::vector<double>{0, 1, 2}, std::vector<double>{1, -1, 3});
  CHECK(fit.slope == doctest::Approx(1));
  CHECK(fit.At(1) == doctest::Approx(1));
  CHECK(fit.residual == doctest::Approx(std::sqrt(6.0)));
  CHECK(fit.Band(1) == doctest::Approx(12.7062 * std::sqrt(6.0 / 3)).epsilon(1e-4));
  CHECK(fit.Band(2) > fit.Band(1));
  CHECK(fit.SlopeBand() == doctest::Approx(12.7062 * std::sqrt(6.0 / 2)).epsilon(1e-4));
}

TEST_CASE("too few points, or one x, are no fit") {
  CHECK(std::isnan(FitLine(std::vector<double>{1, 2}, std::vector<double>{1, 2}).r_squared));
  CHECK(std::isnan(FitLine(std::vector<double>{1, 1, 1}, std::vector<double>{1, 2, 3}).slope));
}

TEST_CASE("summary: percentiles lie between samples") {
  const std::vector<double> samples{5, 1, 3, 2, 4};
  CHECK(Percentile(samples, 0) == 1);
  CHECK(Percentile(samples, 0.5) == 3);
  CHECK(Percentile(samples, 0.9) == doctest::Approx(4.6));
  CHECK(Percentile(samples, 1) == 5);
  CHECK(Percentile({}, 0.5) == 0);
}

TEST_CASE("the interval of a proportion") {
  // Newcombe (1998), table I: 81 of 263, and 0 of 20.
  CHECK(Proportion95(81, 263).low == doctest::Approx(0.2553).epsilon(1e-3));
  CHECK(Proportion95(81, 263).high == doctest::Approx(0.3662).epsilon(1e-3));
  CHECK(Proportion95(0, 20).low == 0);
  CHECK(Proportion95(0, 20).high == doctest::Approx(0.1611).epsilon(1e-3));
  CHECK(Proportion95(20, 20).high == 1);
}

}  // namespace
}  // namespace crossover::bench

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

TEST_CASE("too few points, or one x, are no fit") {
  CHECK(std::isnan(FitLine(std::vector<double>{1, 2}, std::vector<double>{1, 2}).r_squared));
  CHECK(std::isnan(FitLine(std::vector<double>{1, 1, 1}, std::vector<double>{1, 2, 3}).slope));
}

}  // namespace
}  // namespace crossover::bench

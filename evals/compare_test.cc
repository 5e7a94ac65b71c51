#include "evals/compare.h"

#include <cmath>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("compare: McNemar's exact test by hand") {
  CHECK(McNemar(0, 0) == 1);
  CHECK(McNemar(5, 5) == 1);
  CHECK(McNemar(1, 0) == 1);
  CHECK(McNemar(0, 5) == doctest::Approx(2.0 / 32));
  // 2 · (C(10,0) + C(10,1) + C(10,2)) / 1024.
  CHECK(McNemar(2, 8) == doctest::Approx(2.0 * 56 / 1024));
  CHECK(McNemar(8, 2) == McNemar(2, 8));
  // With many pairs the normal approximation, with its correction: z = 199 / sqrt(4000).
  CHECK(McNemar(1900, 2100) ==
        doctest::Approx(std::erfc(199 / std::sqrt(4000.0) / std::sqrt(2.0))).epsilon(1e-2));
  CHECK(McNemar(0, 100000) >= 0);
}

TEST_CASE("compare: right and wrong items") {
  const std::vector<double> base = {1, 1, 0, 0, 1, 0};
  const std::vector<double> other = {1, 0, 1, 1, 1, 0};
  const PairedComparison result = ComparePaired(other, base);
  CHECK(result.n == 6);
  CHECK(result.is_binary);
  CHECK(result.gained == 2);
  CHECK(result.lost == 1);
  CHECK(result.p_value == 1);
  CHECK(result.difference.value == doctest::Approx(1.0 / 6));
  // Differences 0 -1 1 1 0 0: Σd² = 3, variance 3 - 6 · (1/6)² over 5, error over sqrt(6).
  CHECK(result.difference.standard_error == doctest::Approx(std::sqrt((3 - 1.0 / 6) / 5 / 6)));
}

TEST_CASE("compare: values that are no yes or no have no McNemar") {
  const std::vector<double> base = {-1.5, -2.5};
  const std::vector<double> other = {-1.25, -2.0};
  const PairedComparison result = ComparePaired(other, base);
  CHECK_FALSE(result.is_binary);
  CHECK(result.p_value == 1);
  CHECK(result.difference.value == doctest::Approx(0.375));
}

}  // namespace
}  // namespace crossover::evals

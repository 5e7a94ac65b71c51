#include "bench/crossover/crossover.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

CrossoverCell Cell(double pass, double a, double b, double c) {
  return {.tokens = 4,
          .bytes = 100,
          .operations = 800,
          .kernel = "gemv_packed_q8",
          .unit = "int8_dot",
          .pass_s = {pass},
          .products_s = {a},
          .resident_s = {b},
          .stream_s = {c}};
}

TEST_CASE("crossover: overlap, overhead, bound and shares of a cell") {
  // The shorter one hides completely.
  const CrossoverCell hidden = Cell(12, 10, 4, 10);
  CHECK(hidden.ratio() == doctest::Approx(2.5));
  CHECK(hidden.bound_by_communication());
  CHECK(hidden.overlap() == doctest::Approx(1));
  CHECK(hidden.overhead_s() == doctest::Approx(0));
  CHECK(hidden.shares().communication == doctest::Approx(10.0 / 12));
  CHECK(hidden.shares().computation == doctest::Approx(0));
  CHECK(hidden.shares().other == doctest::Approx(2.0 / 12));

  // One after the other, and something on top.
  const CrossoverCell serial = Cell(20, 16, 10, 4);
  CHECK_FALSE(serial.bound_by_communication());
  CHECK(serial.overlap() == doctest::Approx(-0.5));
  CHECK(serial.overhead_s() == doctest::Approx(6));
  CHECK(serial.shares().communication == doctest::Approx(0.2));
  CHECK(serial.shares().computation == doctest::Approx(0.5));
  CHECK(serial.shares().waiting == doctest::Approx(0.1));
  CHECK(serial.shares().other == doctest::Approx(0.2));
}

TEST_CASE("crossover: what slows all of a repetition down moves neither ratio nor overlap") {
  CrossoverCell cell = Cell(12, 10, 4, 10);
  cell.products_s = {10, 20, 60};
  cell.resident_s = {4, 8, 24};
  cell.stream_s = {10, 20, 60};
  CHECK(cell.ratio() == doctest::Approx(2.5));
  CHECK(cell.overlap() == doctest::Approx(1));
}

TEST_CASE("crossover: shares are parts of one whole, also where noise puts a part above it") {
  const CrossoverCell noisy = Cell(9, 10, 4, 11);
  const CrossoverCell::Shares s = noisy.shares();
  CHECK(s.communication + s.computation + s.waiting + s.other == doctest::Approx(1));
  CHECK(s.communication == doctest::Approx(1));
  const CrossoverCell::Shares none = CrossoverCell{}.shares();
  CHECK(none.communication == 0);
  CHECK(CrossoverCell{}.ratio() == 0);
  CHECK(CrossoverCell{}.overlap() == 0);
}

TEST_CASE("crossover: the change of the bound lies between its neighbours by logarithms") {
  // ratio = 8 / x crosses 1 at 8, wherever the points are, in any order.
  const auto change = BoundChange({{16, 0.5}, {1, 8.0}, {4, 2.0}});
  REQUIRE(change);
  CHECK(*change == doctest::Approx(8));
  CHECK(*BoundChange({{1, 2.0}, {100, 0.5}}) == doctest::Approx(10));
  CHECK(*BoundChange({{2, 0.5}, {8, 2.0}}) == doctest::Approx(4));  // from below too
  CHECK(*BoundChange({{1, 2.0}, {4, 1.0}}) == doctest::Approx(4));  // at a point itself
  CHECK_FALSE(BoundChange({{1, 8.0}, {4, 2.0}}));
  CHECK_FALSE(BoundChange({{1, 0.9}}));
  CHECK_FALSE(BoundChange({}));
  CHECK_FALSE(BoundChange({{1, 0.0}, {4, 2.0}}));  // what was not measured is no crossing
}

TEST_CASE("crossover: JSON there and back") {
  CrossoverModel model{.model = "a.gguf",
                       .format = "Q4_K",
                       .effective_bpw = 4.5,
                       .parameters = 1000,
                       .layers = 2,
                       .threads = 2,
                       .isa = "avx2",
                       .resident_bytes = 4096,
                       .cache = "L2"};
  model.cells = {Cell(12, 10, 4, 8), Cell(20, 18, 16, 8)};
  model.cells[1].tokens = 16;
  model.cells[0].stream_s = {8, 7, 9};
  const nlohmann::json json = model;
  CHECK(json.at("tokens_at_change").get<double>() == doctest::Approx(8));
  CHECK(json.at("cells").at(0).at("stream_s").at("max") == 9);
  CHECK(json.at("cells").at(1).at("bound") == "computation");
  const nlohmann::json again = json.get<CrossoverModel>();
  CHECK(again == json);

  const nlohmann::json metric = CrossoverMetric{.tokens = {1, 8}, .repetitions = 7};
  CHECK(metric.get<CrossoverMetric>().tokens == std::vector<size_t>{1, 8});
  CHECK(metric.get<CrossoverMetric>().repetitions == 7);
  CHECK(nlohmann::json::object().get<CrossoverMetric>().repetitions == 5);
}

}  // namespace
}  // namespace crossover::bench

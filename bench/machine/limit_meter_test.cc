#include "bench/machine/limit_meter.h"

#include <doctest/doctest.h>

#include "bench/model/model.h"

namespace crossover::bench {
namespace {

TEST_CASE("limit meter: rates again and again, nothing for units that are not there") {
  LimitMeter meter(1);
  for (int i = 0; i < 2; ++i) {
    CHECK(meter.ReadBandwidth() > 0);
    CHECK(meter.Peak("f32_fma").value_or(0) > 0);
    CHECK_FALSE(meter.Peak("no such unit"));
  }
}

TEST_CASE("limit meter: a fraction is of the limit of its own moment") {
  // The machine was half as fast in the second repetition, and so was the model.
  SpeedResult speed{
      .test = "decode", .samples = {80, 40, 90}, .limit = 100, .limits = {100, 50, 100}};
  CHECK(speed.fraction_of_limit() == doctest::Approx(0.8));
  CHECK(speed.fractions().size() == 3);
  speed.limits.clear();  // measured once
  CHECK(speed.fraction_of_limit() == doctest::Approx(0.8));
  speed.samples = {80, 40, 40};
  CHECK(speed.fraction_of_limit() == doctest::Approx(0.4));
  speed.limit.reset();
  CHECK_FALSE(speed.fraction_of_limit());
}

}  // namespace
}  // namespace crossover::bench

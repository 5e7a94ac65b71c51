#include "bench/predict/uncertainty.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/counted.h"
#include "bench/predict/check.h"
#include "bench/summary.h"

namespace crossover::bench {
namespace {

constexpr size_t kLeast = 5;
constexpr double kLow = 0.1;
constexpr double kHigh = 0.9;

/// value(case) of all published speeds of the test that have one above 0.
std::vector<double> Values(const Published& published, SpeedTest test, const auto& value) {
  std::vector<double> values;
  for (const PublishedSpeed& speed : published.speeds) {
    const PublishedMachine* machine = published.FindMachine(speed.machine);
    if (machine == nullptr || !machine->control.empty() || speed.depth > 0) continue;
    const double one = value(CaseOf(published, speed, test));
    if (std::isfinite(one) && one > 0) values.push_back(one);
  }
  return values;
}

Factor Middle(const std::vector<double>& values, const std::string& of) {
  if (values.size() < kLeast) return {};
  return {.low = Percentile(values, kLow),
          .high = Percentile(values, kHigh),
          .source = fmt::format("what {} of other engines reached of {}",
                                Counted(values.size(), "published speed"), of)};
}

}  // namespace

Factor ReachOfReading(const Published& published, RateKind kind) {
  const auto values = Values(published, SpeedTest::kDecode, [&](const SpeedCase& c) {
    return c.rate_kind == kind && c.read_bytes_s > 0 ? c.bytes * c.tok_s / c.read_bytes_s : 0;
  });
  return Middle(values, fmt::format("a {} read rate", RateKindName(kind)));
}

Factor ReachOfArithmetic(const Published& published) {
  constexpr double kOperations = 128;  // 64 products and additions of bytes in 512 bits
  const auto values = Values(published, SpeedTest::kPrefill, [&](const SpeedCase& c) {
    return c.unit_cycles_s > 0 ? 2 * c.weights * c.tok_s / (kOperations * c.unit_cycles_s) : 0;
  });
  return Middle(values, "8-bit products at the nominal clock");
}

Factor FactorOfFit(double rms) {
  constexpr double kEightOfTen = 1.2816;  // standard deviations
  return {.low = std::exp(-kEightOfTen * rms),
          .high = std::exp(kEightOfTen * rms),
          .source = "the fit's own residuals"};
}

}  // namespace crossover::bench

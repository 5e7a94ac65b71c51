#include "bench/machine/energy.h"

#include <filesystem>
#include <string>

#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

void SetCounter(const std::filesystem::path& powercap, int package, const std::string& value) {
  const auto folder = powercap / ("intel-rapl:" + std::to_string(package));
  std::filesystem::create_directories(folder);
  WriteFile(folder / "max_energy_range_uj", "1000000000\n");
  WriteFile(folder / "energy_uj", value + "\n");
}

TEST_CASE("packages add up, and a counter that wraps around counts on") {
  const test::TemporaryDirectory powercap;
  SetCounter(powercap.path(), 0, "1000000");
  SetCounter(powercap.path(), 1, "999000000");
  EnergyMeter meter(powercap.path());
  CHECK(meter.reason().empty());
  meter.Start();
  SetCounter(powercap.path(), 0, "3500000");
  SetCounter(powercap.path(), 1, "1000000");
  CHECK(*meter.Stop() == doctest::Approx(2.5 + 2.0));
}

TEST_CASE("without counters there is a reason and no figure") {
  const test::TemporaryDirectory powercap;
  EnergyMeter meter(powercap.path());
  meter.Start();
  CHECK_FALSE(meter.Stop().has_value());
  CHECK(meter.reason().find("no RAPL") == 0);

  SetCounter(powercap.path(), 0, "unreadable");
  const EnergyMeter unreadable(powercap.path());
  CHECK_FALSE(unreadable.Stop().has_value());
  CHECK(unreadable.reason().find("cannot be read") != std::string::npos);
}

}  // namespace
}  // namespace crossover::bench

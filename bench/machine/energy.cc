#include "bench/machine/energy.h"

#include <fmt/format.h>

#include <fstream>

namespace crossover::bench {
namespace {

std::optional<uint64_t> ReadCounter(const std::filesystem::path& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

}  // namespace

EnergyMeter::EnergyMeter(const std::filesystem::path& powercap) {
  for (int package = 0;; ++package) {
    const auto folder = powercap / fmt::format("intel-rapl:{}", package);
    if (!std::filesystem::exists(folder)) break;
    const auto energy = folder / "energy_uj";
    const auto range = ReadCounter(folder / "max_energy_range_uj");
    if (!range || !ReadCounter(energy)) {
      domains_.clear();
      reason_ = fmt::format("RAPL cannot be read: {} (root may)", energy.string());
      return;
    }
    domains_.push_back({.energy = energy, .range = *range});
  }
  if (domains_.empty()) reason_ = fmt::format("no RAPL: {}/intel-rapl:0 absent", powercap.string());
}

void EnergyMeter::Start() {
  for (Domain& domain : domains_) domain.start = ReadCounter(domain.energy).value_or(0);
}

std::optional<double> EnergyMeter::Stop() const {
  if (domains_.empty()) return std::nullopt;
  double joules = 0;
  for (const Domain& domain : domains_) {
    const auto now = ReadCounter(domain.energy);
    if (!now) return std::nullopt;
    const uint64_t wrap = *now < domain.start ? domain.range : 0;
    joules += static_cast<double>(*now + wrap - domain.start) * 1e-6;
  }
  return joules;
}

}  // namespace crossover::bench

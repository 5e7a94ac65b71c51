// Energy from the processor's own counters (RAPL), through Linux's powercap files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace crossover::bench {

/// Sums the package domains (intel-rapl:0, :1, …; AMD's appear under the same names). What else
/// runs on the machine, and its idle power, is in the figure.
class EnergyMeter {
 public:
  explicit EnergyMeter(const std::filesystem::path& powercap = "/sys/class/powercap");

  /// Starts a span.
  void Start();
  /// Joules since Start; nothing where reason() says why.
  std::optional<double> Stop() const;
  /// Why there is no figure; empty if there is one.
  const std::string& reason() const { return reason_; }

 private:
  struct Domain {
    std::filesystem::path energy;  // microjoules, wraps around at `range`
    uint64_t range = 0;
    uint64_t start = 0;
  };
  std::vector<Domain> domains_;
  std::string reason_;
};

}  // namespace crossover::bench

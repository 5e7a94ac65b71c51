#include "bench/machine/ceilings.h"

#include <nlohmann/json.hpp>

#include "bench/machine/machine.h"

namespace crossover::bench {

Limits MeasureLimits(size_t threads) {
  const MachineLimits machine = MeasureMachine({.threads = threads, .quick = true});
  Limits limits;
  limits.read_bytes_s = machine.ReadBandwidth(threads);
  if (const PeakLimit* peak = machine.BestFloatPeak(threads)) {
    limits.flops_s = peak->summary().median;
    limits.flops_unit = peak->unit;
  }
  for (const PeakLimit& peak : machine.peak) {
    if (peak.measured()) limits.peaks[peak.unit] = peak.summary().median;
  }
  for (const BandwidthLimit& limit : machine.bandwidth) {
    if (!limits.read_bytes_s && !limit.measured()) limits.reason = limit.reason;
  }
  limits.disturbed = machine.Disturbed().Causes();
  return limits;
}

void to_json(nlohmann::json& json, const Limits& limits) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
  };
  json = {{"read_bytes_s", or_null(limits.read_bytes_s)},
          {"flops_s", or_null(limits.flops_s)},
          {"flops_unit", limits.flops_unit},
          {"peaks", limits.peaks},
          {"reason", limits.reason},
          {"disturbed", limits.disturbed}};
}

void from_json(const nlohmann::json& json, Limits& limits) {
  limits = {};
  const auto read = [&](const char* key) -> std::optional<double> {
    const nlohmann::json& value = json.at(key);
    return value.is_null() ? std::nullopt : std::optional(value.get<double>());
  };
  limits.read_bytes_s = read("read_bytes_s");
  limits.flops_s = read("flops_s");
  json.at("flops_unit").get_to(limits.flops_unit);
  if (json.contains("peaks")) json.at("peaks").get_to(limits.peaks);
  json.at("reason").get_to(limits.reason);
  limits.disturbed = json.value("disturbed", "");  // records from before lack it
}

}  // namespace crossover::bench

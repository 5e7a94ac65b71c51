// The machine's limits as they stand beside every other figure: measured once, then handed on.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace crossover::bench {

struct Limits {
  std::optional<double> read_bytes_s = {};  // reading memory beyond the caches, all threads
  std::optional<double> flops_s = {};  // the best unit's multiplications and additions a second
  std::string flops_unit = {};         // which unit that is
  std::map<std::string, double> peaks = {};  // of each unit that was measured, operations a second
  std::string reason = {};                   // why something above is missing
  std::string disturbed = {};  // by what, if figures above were; empty: they were not, or unknown
};

/// Measures them with `threads` threads; takes seconds.
Limits MeasureLimits(size_t threads);

void to_json(nlohmann::json& json, const Limits& limits);
void from_json(const nlohmann::json& json, Limits& limits);

}  // namespace crossover::bench

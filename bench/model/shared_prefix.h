// What sharing the cache of a common beginning saves: the prompts of many sequences, fed by the
// scheduler once with shared pages and once apart.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/machine/disturbance.h"
#include "bench/settings.h"

namespace crossover::bench {

struct SharedPrefixMetric {
  size_t sequences = 64;
  size_t prefix = 256;  // tokens that all begin with
  size_t own = 16;      // tokens of each one's own behind them
  size_t repetitions = 5;
};

struct SharedPrefixResult {
  std::string model = {};
  SharedPrefixMetric metric = {};
  // From the first prompt's submission to the last one's logits, in the order measured.
  std::vector<double> apart_seconds = {};
  std::vector<double> shared_seconds = {};
  Conditions conditions = {};  // of a repetition, both together
  // Tokens that went through the model.
  size_t apart_tokens = 0;
  size_t shared_tokens = 0;
  // In use while all sequences are alive.
  size_t apart_pages = 0;
  size_t shared_pages = 0;
  size_t ideal_pages = 0;  // the prefix once, each one's own apart
  size_t page_bytes = 0;

  double time_ratio() const;  // of the medians
};

/// Repetitions of both in turn, after one of each that is not kept; more where some are disturbed.
SharedPrefixResult BenchSharedPrefix(const std::filesystem::path& path, const Settings& settings,
                                     const SharedPrefixMetric& metric);

nlohmann::json SharedPrefixJson(const std::vector<SharedPrefixResult>& results);
std::string SharedPrefixTable(const std::vector<SharedPrefixResult>& results);

}  // namespace crossover::bench

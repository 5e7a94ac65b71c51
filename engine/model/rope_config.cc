#include "engine/model/rope_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace crossover::engine {
namespace {

/// The pair that turns `turns` times within the original context, as a real number: solves
/// context · base^(-2i/d) = 2π · turns for i.
double PairThatTurns(double turns, const RopeConfig& config, double d) {
  const double context = static_cast<double>(config.original_context);
  return d * std::log(context / (2 * std::numbers::pi * turns)) / (2 * std::log(config.base));
}

/// The share of pair i's own frequency: 1 below `low`, 0 above `high`, linear between.
double KeptShare(double i, double low, double high) {
  return 1 - std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
}

}  // namespace

double YarnMagnitude(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

std::vector<float> RopeDivisors(const RopeConfig& config, size_t rotary_dim) {
  if (config.factor == 1) return {};
  std::vector<float> divisors(rotary_dim / 2, static_cast<float>(config.factor));
  if (!config.yarn) return divisors;
  const auto d = static_cast<double>(rotary_dim);
  const bool rounds = config.yarn->rounds_bounds;
  const double fast = PairThatTurns(config.yarn->beta_fast, config, d);
  const double slow = PairThatTurns(config.yarn->beta_slow, config, d);
  const double low = std::max(0.0, rounds ? std::floor(fast) : fast);
  const double high = std::min(d - 1, rounds ? std::ceil(slow) : slow);
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double kept = KeptShare(static_cast<double>(i), low, high) * config.yarn->extrapolation;
    divisors[i] = static_cast<float>(1 / ((1 - kept) / config.factor + kept));
  }
  return divisors;
}

}  // namespace crossover::engine

// How far true numbers lie from those that a machine is described by: taken from what others have
// published of their machines, never assumed.
#pragma once

#include <string>

#include "bench/predict/engine_profile.h"
#include "bench/predict/published.h"

namespace crossover::bench {

/// Eight of ten true values lie between `low` and `high` times a number.
struct Factor {
  double low = 1;
  double high = 1;
  std::string source = {};  // empty: the number is taken as it is

  bool exact() const { return low == 1 && high == 1; }
};

/// What decoding reached of its machine's read rate, of all published speeds of machines with such
/// a rate: bytes a token · tokens a second / rate. Exact where there are fewer than five.
Factor ReachOfReading(const Published& published, RateKind kind);

/// What prompts reached of 8-bit products at their machine's nominal clock, in all of its vector
/// units: 2 · weights · tokens a second / (128 · U), U as in engine_profile.h.
Factor ReachOfArithmetic(const Published& published);

/// Of a fit with that rms of log(predicted / measured): as a normal distribution has it.
Factor FactorOfFit(double rms);

}  // namespace crossover::bench

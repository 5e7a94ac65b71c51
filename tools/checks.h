// Checks of single words of the command line, where CLI11's let too much pass.
#pragma once

#include <cstdint>

#include "tools/flags.h"

namespace crossover::tools {

/// A finite number from `low` to `high`. CLI::Range lets NaN pass: it is not below and not above.
WordCheck NumberFrom(double low, double high);

/// A whole number from `low` to `high`, in decimal digits. Conversions to unsigned types make a
/// large number of a negative one.
WordCheck WholeFrom(uint64_t low, uint64_t high);

}  // namespace crossover::tools

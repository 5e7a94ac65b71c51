// Two models on the same items: how sure is it that one is better?
#pragma once

#include <cstddef>
#include <span>

#include "evals/statistics.h"

namespace crossover::evals {

struct PairedComparison {
  size_t n = 0;
  Estimate difference;  // of the means, with the standard error of the items' differences
  // Of items that are right or wrong (each value 0 or 1):
  bool is_binary = false;
  size_t gained = 0;   // wrong in the base, right in the other
  size_t lost = 0;     // the other way round
  double p_value = 1;  // McNemar's
};

/// One value an item of either model, in the same order; not empty.
PairedComparison ComparePaired(std::span<const double> values, std::span<const double> base);

/// McNemar's test, exact: two-sided probability that `gained` of the gained + lost items fall on
/// their side, or fewer or more, if either side were equally likely. Any numbers.
double McNemar(size_t gained, size_t lost);

}  // namespace crossover::evals

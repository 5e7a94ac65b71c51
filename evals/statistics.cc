#include "evals/statistics.h"

#include <cmath>
#include <limits>

namespace crossover::evals {

double Moments::mean() const { return sum_ / static_cast<double>(count_); }

double Moments::standard_error() const {
  if (count_ < 2) return std::numeric_limits<double>::quiet_NaN();
  const double n = static_cast<double>(count_);
  const double variance = squares_ / n - mean() * mean();
  return variance > 0 ? std::sqrt(variance / (n - 1)) : 0.0;
}

Estimate Proportion(size_t hits, size_t n) {
  const double p = static_cast<double>(hits) / static_cast<double>(n);
  if (n < 2) return {p, std::numeric_limits<double>::quiet_NaN()};
  return {p, std::sqrt(p * (1 - p) / static_cast<double>(n - 1))};
}

Estimate ExpOfMean(const Moments& moments) {
  const double value = std::exp(moments.mean());
  return {value, value * moments.standard_error()};
}

}  // namespace crossover::evals

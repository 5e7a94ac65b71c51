#include "evals/compare.h"

#include <algorithm>
#include <cmath>

namespace crossover::evals {

double McNemar(size_t gained, size_t lost) {
  const size_t n = gained + lost;
  const size_t fewer = std::min(gained, lost);
  // Σ_{i ≤ fewer} C(n, i) / 2^n in logarithms: n may be thousands.
  const double log_all = std::lgamma(static_cast<double>(n) + 1);
  const double log_half = std::log(0.5) * static_cast<double>(n);
  double tail = 0;
  for (size_t i = 0; i <= fewer; ++i) {
    const double in = static_cast<double>(i);
    const double out = static_cast<double>(n - i);
    tail += std::exp(log_all - std::lgamma(in + 1) - std::lgamma(out + 1) + log_half);
  }
  return std::min(1.0, 2 * tail);
}

PairedComparison ComparePaired(std::span<const double> values, std::span<const double> base) {
  PairedComparison result;
  result.n = values.size();
  PairedMoments pairs;
  result.is_binary = true;
  for (size_t i = 0; i < values.size(); ++i) {
    pairs.Add(values[i], base[i]);
    for (const double v : {values[i], base[i]}) {
      result.is_binary = result.is_binary && (v == 0 || v == 1);
    }
    result.gained += values[i] > base[i] ? 1 : 0;
    result.lost += values[i] < base[i] ? 1 : 0;
  }
  result.difference = pairs.difference();
  if (result.is_binary) result.p_value = McNemar(result.gained, result.lost);
  return result;
}

}  // namespace crossover::evals

// Means, proportions and their standard errors.
#pragma once

#include <cstddef>

namespace crossover::evals {

struct Estimate {
  double value = 0;
  double standard_error = 0;  // NaN where too few observations say nothing
};

/// Σx and Σx² in double: enough for the protocol's moments.
class Moments {
 public:
  void Add(double x) {
    sum_ += x;
    squares_ += x * x;
    ++count_;
  }
  size_t count() const { return count_; }
  double mean() const;
  /// Standard error of the mean with the biased variance that llama-perplexity uses:
  /// sqrt((E[x²] - E[x]²) / (n - 1)); 0 where rounding makes the variance negative.
  double standard_error() const;

 private:
  double sum_ = 0;
  double squares_ = 0;
  size_t count_ = 0;
};

/// p = hits / n ± sqrt(p (1 - p) / (n - 1)).
Estimate Proportion(size_t hits, size_t n);

/// exp(mean) with the error carried over to first order: exp(m) · se(m).
Estimate ExpOfMean(const Moments& moments);

}  // namespace crossover::evals

// Means, proportions and their standard errors.
#pragma once

#include <cstddef>
#include <span>

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

/// Pairs: what two models give for the same tokens or items.
class PairedMoments {
 public:
  void Add(double x, double y);
  const Moments& x() const { return x_; }
  const Moments& y() const { return y_; }
  /// x̄ - ȳ with the error of the pairs' differences, which is sqrt(se_x² + se_y² - 2 cov): far
  /// below either's where both rise and fall together.
  Estimate difference() const { return {x_.mean() - y_.mean(), difference_.standard_error()}; }
  /// Covariance of the means: (E[xy] - E[x] E[y]) / (n - 1).
  double covariance() const;
  /// cov / (se_x se_y); NaN where either does not vary.
  double correlation() const;

 private:
  Moments x_, y_, difference_;
  double products_ = 0;
};

/// Standard error of the mean from the spread of the means of consecutive blocks of `block` values,
/// which holds whatever ties the values of one block together; NaN for fewer than two blocks.
/// Precondition: a whole number of blocks.
double BlockStandardError(std::span<const double> values, size_t block);

/// Correlation of each block's mean with the next one's. What BlockStandardError takes to be 0: at
/// r the true error is about sqrt((1 + r) / (1 - r)) times as large. NaN for fewer than three
/// blocks.
double BlockAutocorrelation(std::span<const double> values, size_t block);

/// Linear between the two nearest of `sorted` (ascending, not empty): at fraction · (n - 1).
double Quantile(std::span<const float> sorted, double fraction);

/// p = hits / n ± sqrt(p (1 - p) / (n - 1)).
Estimate Proportion(size_t hits, size_t n);

/// exp(mean) with the error carried over to first order: exp(m) · se(m).
Estimate ExpOfMean(const Moments& moments);

}  // namespace crossover::evals

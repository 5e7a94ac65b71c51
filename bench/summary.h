// What is said of repeated measurements.
#pragma once

#include <cstddef>
#include <span>

namespace crossover::bench {

/// Median with the extremes: of a handful of repetitions they tell more than a deviation.
struct Summary {
  double median = 0;  // of an even count: the mean of the middle two
  double min = 0;
  double max = 0;
};

/// All zero for no samples.
Summary Summarise(std::span<const double> samples);

/// The value below which a part (0 to 1) of the samples lies, linear between neighbours; 0 for
/// none.
double Percentile(std::span<const double> samples, double part);

/// Between which a value lies with 95 % confidence.
struct Interval {
  double low = 0;
  double high = 0;
};

/// Of a proportion of which `hits` of `n` were seen (Wilson, 1927): within [0, 1] and never without
/// width, also for none or all. Precondition: n > 0.
Interval Proportion95(size_t hits, size_t n);

/// y = intercept + slope · x by least squares.
struct LinearFit {
  double intercept = 0;
  double slope = 0;
  /// 1 - Σ(y - ŷ)² / Σ(y - ȳ)²; NaN when y does not vary.
  double r_squared = 0;
  size_t points = 0;

  double mean_x = 0;
  double spread_x = 0;  // Σ(x - x̄)²
  double residual = 0;  // sqrt(Σ(y - ŷ)² / (n - 2))

  double At(double x) const { return intercept + slope * x; }
  /// Half the width of the 95 % confidence band of the line at x:
  /// t(n - 2) · residual · sqrt(1/n + (x - x̄)² / spread_x).
  double Band(double x) const;
  /// Half the width of the slope's 95 % confidence interval.
  double SlopeBand() const;
};

/// The t of Student's distribution with that many degrees of freedom (at least 1) which the
/// absolute value exceeds in 5 % of cases.
double StudentT95(size_t degrees);

/// Precondition: equal lengths. With fewer than three points, or x that does not vary, points is
/// set and all else is NaN: two points are on a line whatever they are.
LinearFit FitLine(std::span<const double> x, std::span<const double> y);

}  // namespace crossover::bench

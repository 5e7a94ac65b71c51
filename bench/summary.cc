#include "bench/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace crossover::bench {

Summary Summarise(std::span<const double> samples) {
  if (samples.empty()) return {};
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  return {.median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2,
          .min = sorted.front(),
          .max = sorted.back()};
}

double StudentT95(size_t degrees) {
  // The density is (1 + t²/ν)^(-(ν+1)/2) / norm. With t = sqrt(ν) tan φ the part within ±t becomes
  // the integral of cos^(ν-1) from 0 to φ over the one to π/2, and is found by halving φ.
  const auto nu = static_cast<double>(degrees);
  const auto integral = [&](double end) {
    constexpr int kSteps = 400;  // Simpson's rule: far below the digits that a table shows
    const double h = end / kSteps;
    double sum = 0;
    for (int i = 0; i <= kSteps; ++i) {
      const double weight = i == 0 || i == kSteps ? 1 : (i % 2 == 1 ? 4 : 2);
      sum += weight * std::pow(std::max(std::cos(i * h), 0.0), nu - 1);
    }
    return sum * h / 3;
  };
  const double whole = integral(std::numbers::pi / 2);
  double low = 0;
  double high = std::numbers::pi / 2;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (integral(middle) < 0.95 * whole ? low : high) = middle;
  }
  return std::sqrt(nu) * std::tan(low);
}

double LinearFit::Band(double x) const {
  const double far = (x - mean_x) * (x - mean_x) / spread_x;
  return StudentT95(points - 2) * residual * std::sqrt(1 / static_cast<double>(points) + far);
}

double LinearFit::SlopeBand() const {
  return StudentT95(points - 2) * residual / std::sqrt(spread_x);
}

double Percentile(std::span<const double> samples, double part) {
  if (samples.empty()) return 0;
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval Proportion95(size_t hits, size_t n) {
  constexpr double kZ = 1.96;
  const auto count = static_cast<double>(n);
  const double p = static_cast<double>(hits) / count;
  const double scale = 1 + kZ * kZ / count;
  const double middle = (p + kZ * kZ / (2 * count)) / scale;
  const double half = kZ / scale * std::sqrt(p * (1 - p) / count + kZ * kZ / (4 * count * count));
  return {.low = std::max(middle - half, 0.0), .high = std::min(middle + half, 1.0)};
}

LinearFit FitLine(std::span<const double> x, std::span<const double> y) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  LinearFit fit{.intercept = kNaN, .slope = kNaN, .r_squared = kNaN, .points = x.size()};
  if (x.size() < 3) return fit;
  const auto n = static_cast<double>(x.size());
  double mean_x = 0;
  double mean_y = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    mean_x += x[i] / n;
    mean_y += y[i] / n;
  }
  double xx = 0;
  double xy = 0;
  double yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - mean_x;
    const double dy = y[i] - mean_y;
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  if (xx <= 0) return fit;
  fit.slope = xy / xx;
  fit.intercept = mean_y - fit.slope * mean_x;
  fit.mean_x = mean_x;
  fit.spread_x = xx;
  fit.residual = std::sqrt(std::max(yy - fit.slope * xy, 0.0) / (n - 2));
  if (yy > 0) fit.r_squared = xy * xy / (xx * yy);
  return fit;
}

}  // namespace crossover::bench

#include "bench/summary.h"

#include <algorithm>
#include <limits>
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
  if (yy > 0) fit.r_squared = xy * xy / (xx * yy);
  return fit;
}

}  // namespace crossover::bench

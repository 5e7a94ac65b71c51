#include "evals/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace crossover::evals {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Deviations of the blocks' means from their mean.
std::vector<double> BlockDeviations(std::span<const double> values, size_t block) {
  std::vector<double> means;
  Moments all;
  for (; !values.empty(); values = values.subspan(block)) {
    Moments part;
    for (const double v : values.first(block)) part.Add(v);
    means.push_back(part.mean());
    all.Add(part.mean());
  }
  for (double& m : means) m -= all.mean();
  return means;
}

double SumOfProducts(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

double Moments::mean() const { return sum_ / static_cast<double>(count_); }

double Moments::standard_error() const {
  if (count_ < 2) return kUnknown;
  const double n = static_cast<double>(count_);
  const double variance = squares_ / n - mean() * mean();
  return variance > 0 ? std::sqrt(variance / (n - 1)) : 0.0;
}

void PairedMoments::Add(double x, double y) {
  x_.Add(x);
  y_.Add(y);
  difference_.Add(x - y);
  products_ += x * y;
}

double PairedMoments::covariance() const {
  if (x_.count() < 2) return kUnknown;
  const double n = static_cast<double>(x_.count());
  return (products_ / n - x_.mean() * y_.mean()) / (n - 1);
}

double PairedMoments::correlation() const {
  const double scale = x_.standard_error() * y_.standard_error();
  return scale > 0 ? covariance() / scale : kUnknown;
}

double BlockStandardError(std::span<const double> values, size_t block) {
  const std::vector<double> deviations = BlockDeviations(values, block);
  if (deviations.size() < 2) return kUnknown;
  const double n = static_cast<double>(deviations.size());
  return std::sqrt(SumOfProducts(deviations, deviations) / (n - 1) / n);
}

double BlockAutocorrelation(std::span<const double> values, size_t block) {
  const std::vector<double> deviations = BlockDeviations(values, block);
  if (deviations.size() < 3) return kUnknown;
  const std::span<const double> all = deviations;
  const double squares = SumOfProducts(all, all);
  return squares > 0 ? SumOfProducts(all.first(all.size() - 1), all.subspan(1)) / squares
                     : kUnknown;
}

double Quantile(std::span<const float> sorted, double fraction) {
  const double place = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = place - static_cast<double>(below);
  return (1 - weight) * static_cast<double>(sorted[below]) +
         weight * static_cast<double>(sorted[above]);
}

Estimate Proportion(size_t hits, size_t n) {
  const double p = static_cast<double>(hits) / static_cast<double>(n);
  if (n < 2) return {p, kUnknown};
  return {p, std::sqrt(p * (1 - p) / static_cast<double>(n - 1))};
}

Estimate ExpOfMean(const Moments& moments) {
  const double value = std::exp(moments.mean());
  return {value, value * moments.standard_error()};
}

}  // namespace crossover::evals

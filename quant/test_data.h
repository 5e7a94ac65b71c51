// Data for the tests, the same on every machine: integers only until the last, exact division.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace crossover::quant::test {

/// Knuth's MMIX generator; the high bits are the good ones.
class Generator {
 public:
  explicit Generator(uint64_t seed) : state_(seed) {}
  uint32_t Bits(int count) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> (64 - count));
  }

 private:
  uint64_t state_;
};

/// Nearly Gaussian, mean 0 and variance 1: twelve uniform numbers added up.
inline std::vector<float> Gaussian(size_t count, uint64_t seed) {
  Generator generator(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    int64_t sum = 0;
    for (int i = 0; i < 12; ++i) sum += generator.Bits(16);
    value = static_cast<float>(2 * sum - 12 * 65535) / 131072.0f;
  }
  return values;
}

/// Squared activations: a few columns count far more than the rest.
inline std::vector<float> Importance(size_t count, uint64_t seed) {
  std::vector<float> values = Gaussian(count, seed);
  for (float& value : values) value = value * value + (value > 2.0f ? 16.0f : 0.0f);
  return values;
}

/// The root of Σ importance·(a - b)² / Σ importance; all columns alike if importance is empty.
inline double Rmse(std::span<const float> a, std::span<const float> b,
                   std::span<const float> importance = {}) {
  double sum = 0;
  double weights = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double weight = importance.empty() ? 1.0 : double{importance[i]};
    const double difference = double{a[i]} - double{b[i]};
    sum += weight * difference * difference;
    weights += weight;
  }
  return std::sqrt(sum / weights);
}

}  // namespace crossover::quant::test

// Weights of the errors the searches minimise. With an importance (the mean squared activation of
// each column) the weight of an element is importance·sqrt(σ² + x²): what the column contributes,
// and a little more for large elements.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "quant/lanes.h"

namespace crossover::quant {

/// In element order, like everything that decides codes.
inline float SumOfSquares(std::span<const float> x) {
  float sum = 0.0f;
  for (const float value : x) sum += value * value;
  return sum;
}

inline float MeanSquare(std::span<const float> x) {
  return SumOfSquares(x) / static_cast<float>(x.size());
}

inline void ImportanceWeights(std::span<const float> x, const float* importance, float variance,
                              float* weights) {
  for (size_t i = 0; i < x.size(); ++i) {
    weights[i] = importance[i] * std::sqrt(variance + x[i] * x[i]);
  }
}

inline void SquareWeights(std::span<const float> x, float* weights) {
  for (size_t i = 0; i < x.size(); ++i) weights[i] = x[i] * x[i];
}

}  // namespace crossover::quant

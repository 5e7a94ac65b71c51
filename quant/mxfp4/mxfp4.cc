#include "quant/mxfp4/mxfp4.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/importance.h"
#include "quant/mx4_nearest.h"
#include "quant/pack.h"

namespace crossover::quant {
namespace {

constexpr size_t kBlock = MXFP4::kBlockWeights;
// The largest level lies between two and three powers of two above the float 1.
constexpr int kLargestPower = 2;

/// Σ weights · error² with codes for the exponent `e`.
double Encode(std::span<const float> x, const float* weights, int e, uint8_t codes[kBlock]) {
  const float factor = MXFP4::Factor(static_cast<uint8_t>(e));
  double sum = 0.0;
  for (size_t i = 0; i < kBlock; ++i) {
    codes[i] = NearestMx4(x[i], factor);
    const double error = double{static_cast<float>(kMx4Levels[codes[i]]) * factor} - double{x[i]};
    sum += (weights == nullptr ? 1.0 : double{weights[i]}) * error * error;
  }
  return sum;
}

}  // namespace

void MXFP4::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  const float variance = importance == nullptr ? 0.0f : MeanSquare(row);
  for (size_t begin = 0; begin < row.size(); begin += kBlock, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlock);
    float largest = 0.0f;
    for (const float value : x) largest = std::max(largest, std::abs(value));
    uint8_t codes[kBlock];
    // The power of the largest magnitude becomes that of the largest level.
    int e =
        largest > 0.0f ? static_cast<int>(std::floor(std::log2(largest))) - kLargestPower + 127 : 0;
    e = std::max(e, 0);
    if (importance == nullptr) {
      Encode(x, nullptr, e, codes);
    } else {
      float weights[kBlock];
      ImportanceWeights(x, importance + begin, variance, weights);
      int best = e;
      double least = std::numeric_limits<double>::infinity();
      for (int power = std::max(0, e - 2); power <= e + 1; ++power) {
        const double error = Encode(x, weights, power, codes);
        if (error < least) {
          least = error;
          best = power;
        }
      }
      e = best;
      Encode(x, weights, e, codes);
    }
    out->e = static_cast<uint8_t>(e);
    PackNibbles(codes, out->qs);
  }
}

}  // namespace crossover::quant

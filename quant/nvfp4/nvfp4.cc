#include "quant/nvfp4/nvfp4.h"

#include <algorithm>
#include <cmath>

#include "quant/importance.h"
#include "quant/mx4_nearest.h"

namespace crossover::quant {
namespace {

constexpr size_t kGroup = NVFP4::kGroup;
constexpr float kLargestLevel = 12.0f;

/// The 8-bit float nearest to twice `half_scale`, of two the even one, at most 448.
uint8_t ScaleBits(float half_scale) {
  if (!(half_scale > 0.0f)) return 0;
  // Values ascend with their bits.
  size_t best = 0;
  for (uint8_t bits = 0; bits < 0x7f; ++bits) {
    const float error = std::abs(NVFP4::HalfScale(bits) - half_scale);
    const float least = std::abs(NVFP4::HalfScale(static_cast<uint8_t>(best)) - half_scale);
    if (error < least || (error == least && bits % 2 == 0)) best = bits;
  }
  return static_cast<uint8_t>(best);
}

/// Σ weights · error² of a group with codes for a scale.
double Encode(const float* x, const float* weights, uint8_t bits, uint8_t codes[kGroup]) {
  const float scale = NVFP4::HalfScale(bits);
  double sum = 0.0;
  for (size_t i = 0; i < kGroup; ++i) {
    codes[i] = NearestMx4(x[i], scale);
    const double error = double{static_cast<float>(kMx4Levels[codes[i]]) * scale} - double{x[i]};
    sum += double{weights[i]} * error * error;
  }
  return sum;
}

void EncodeGroup(const float* x, const float* weights, size_t g, NVFP4::Block& out) {
  float largest = 0.0f;
  for (size_t i = 0; i < kGroup; ++i) largest = std::max(largest, std::abs(x[i]));
  const uint8_t bits = ScaleBits(largest / kLargestLevel);
  uint8_t codes[kGroup];
  uint8_t best = bits;
  if (weights == nullptr) {
    static constexpr float kOnes[kGroup] = {};
    Encode(x, kOnes, bits, codes);
  } else {
    double least = Encode(x, weights, bits, codes);
    for (int other = std::max(0, bits - 4); other <= std::min(0x7e, bits + 4); ++other) {
      const double error = Encode(x, weights, static_cast<uint8_t>(other), codes);
      if (!(error < least)) continue;
      least = error;
      best = static_cast<uint8_t>(other);
    }
    Encode(x, weights, best, codes);
  }
  out.d[g] = best;
  for (size_t j = 0; j < 8; ++j) {
    out.qs[8 * g + j] = static_cast<uint8_t>(codes[j] | codes[j + 8] << 4);
  }
}

}  // namespace

void NVFP4::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  const float variance = importance == nullptr ? 0.0f : MeanSquare(row);
  float weights[kBlockWeights];
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlockWeights);
    if (importance != nullptr) ImportanceWeights(x, importance + begin, variance, weights);
    for (size_t g = 0; g < kBlockWeights / kGroup; ++g) {
      EncodeGroup(&x[g * kGroup], importance == nullptr ? nullptr : weights + g * kGroup, g, *out);
    }
  }
}

}  // namespace crossover::quant

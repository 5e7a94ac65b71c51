#include "quant/q8_0/q8_0.h"

#include <algorithm>
#include <cmath>

#include "quant/lanes.h"

namespace crossover::quant {
namespace {

/// Ties away from zero, without std::round's call: v - trunc(v) is exact.
int8_t RoundAway(float v) {
  const int whole = static_cast<int>(v);
  const float rest = v - static_cast<float>(whole);
  return static_cast<int8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

}  // namespace

void Q8_0::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  for (size_t i = 0; i < kBlockWeights; ++i) out[i] = d * static_cast<float>(block.qs[i]);
}

// 254 steps are fine enough that importance changes nothing worth having.
void Q8_0::EncodeRow(std::span<const float> row, const float*, Block* out) {
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlockWeights);
    float magnitude = 0.0f;
    for (const float value : x) magnitude = std::max(magnitude, std::abs(value));
    const float d = magnitude / 127.0f;
    const float inverse = Reciprocal(d);
    out->d = Half::FromFloat(d);
    for (size_t i = 0; i < kBlockWeights; ++i) {
      out->qs[i] = RoundAway(Clamp(x[i] * inverse, -127.0f, 127.0f));
    }
  }
}

}  // namespace crossover::quant

#include "quant/q2_0/q2_0.h"

#include <cmath>

#include "quant/importance.h"
#include "quant/search.h"

namespace crossover::quant {
namespace {

constexpr size_t kBlock = Q2_0::kBlockWeights;

/// Higher bits of a code are left out.
void Store(float d, const uint8_t codes[kBlock], Q2_0::Block& out) {
  out.d = Half::FromFloat(d);
  for (size_t j = 0; j < kBlock / 4; ++j) {
    unsigned bits = 0;
    for (size_t k = 0; k < 4; ++k) bits |= (codes[4 * j + k] & 3u) << (2 * k);
    out.qs[j] = static_cast<uint8_t>(bits);
  }
}

/// -1, 0 and 1 times the largest magnitude: exact for weights that have only these values.
void EncodeTernary(std::span<const float> x, Q2_0::Block& out) {
  float d = 0.0f;
  for (const float value : x) d = Max(d, Abs(value));
  const float inverse = Reciprocal(d);
  uint8_t codes[kBlock];
  for (size_t i = 0; i < kBlock; ++i) {
    codes[i] = static_cast<uint8_t>(std::round(Clamp(x[i] * inverse, -1.0f, 2.0f)) + 1.0f);
  }
  Store(d, codes, out);
}

/// All four levels, by search: those of SearchSigned are -2 … 1, so the sign of the scale turns.
void EncodeWeighted(std::span<const float> x, std::span<const float> weights, Q2_0::Block& out) {
  const auto fit = SearchSigned(LoadLanes<float, kBlock>(x.data()),
                                LoadLanes<float, kBlock>(weights.data()), 2.0f);
  uint8_t codes[kBlock];
  for (size_t i = 0; i < kBlock; ++i) {
    codes[i] = static_cast<uint8_t>(3.0f - SignedCode(x[i], fit, 2.0f));
  }
  Store(-fit.scale, codes, out);
}

}  // namespace

void Q2_0::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  for (size_t i = 0; i < kBlock; ++i) {
    out[i] = d * static_cast<float>((block.qs[i / 4] >> (2 * (i % 4)) & 3) - 1);
  }
}

void Q2_0::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  float weights[kBlock];
  const float variance = importance == nullptr ? 0.0f : MeanSquare(row);
  for (size_t i = 0; i < row.size(); i += kBlock, ++out) {
    const auto x = row.subspan(i, kBlock);
    if (importance == nullptr) {
      EncodeTernary(x, *out);
    } else {
      ImportanceWeights(x, importance + i, variance, weights);
      EncodeWeighted(x, weights, *out);
    }
  }
}

}  // namespace crossover::quant

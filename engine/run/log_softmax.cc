#include "engine/run/log_softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace crossover::engine {
namespace {

// -87 ≤ x ≤ 0.
float ExpInRange(float x) {
  // e^x = 2^n e^r, n = round(x / ln 2), |r| ≤ ln 2 / 2. Adding 1.5 · 2^23 rounds to an integer
  // without a rounding instruction. ln 2 is taken in two parts so that n · ln 2 is exact.
  constexpr float kLog2E = 1.44269504f;
  constexpr float kRound = 12582912.0f;
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  const float n = (x * kLog2E + kRound) - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  // Taylor to r^7: the next term is below 6e-9 for |r| ≤ ln 2 / 2.
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const float power = std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
  return p * power;
}

// Independent partial results, so that the compiler may keep them in vector registers without being
// allowed to reorder floating-point sums.
constexpr size_t kLanes = 16;
constexpr size_t kBlock = 256;  // in the first-level cache

double SumOfExponentials(std::span<const float> logits, float maximum) {
  double lanes[kLanes] = {};
  float e[kBlock];
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t n = std::min(kBlock, logits.size() - begin);
    const float* x = logits.data() + begin;
    for (size_t i = 0; i < n; ++i) e[i] = x[i] - maximum;
    ExpNonPositive({e, n});
    std::fill(e + n, e + kBlock, 0.0f);
    for (size_t i = 0; i < kBlock; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(e[i + l]);
    }
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

void ExpNonPositive(std::span<float> x) {
  constexpr float kLowest = -87.0f;
  // A loop of its own: next to the arithmetic the compiler would make the comparison a branch.
  for (float& v : x) v = v > kLowest ? v : kLowest;
  for (float& v : x) v = ExpInRange(v);
}

RowExtremes FindExtremes(std::span<const float> logits) {
  float high[kLanes], low[kLanes], residue[kLanes];
  std::fill_n(high, kLanes, logits[0]);
  std::fill_n(low, kLanes, logits[0]);
  std::fill_n(residue, kLanes, 0.0f);
  auto take = [&](size_t lane, float v) {
    high[lane] = v > high[lane] ? v : high[lane];
    low[lane] = v < low[lane] ? v : low[lane];
    residue[lane] += v - v;  // 0 unless v is infinite or NaN, then NaN for good
  };
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) take(l, logits[i + l]);
  }
  for (; i < logits.size(); ++i) take(0, logits[i]);

  RowExtremes row;
  row.maximum = *std::max_element(high, high + kLanes);
  row.minimum = *std::min_element(low, low + kLanes);
  row.finite = std::all_of(residue, residue + kLanes, [](float r) { return r == 0.0f; });
  if (!row.finite) return row;
  const auto best = std::find(logits.begin(), logits.end(), row.maximum);
  row.argmax = static_cast<tokenizer::TokenId>(best - logits.begin());
  return row;
}

RowNormaliser Normalise(std::span<const float> logits) {
  RowNormaliser row{FindExtremes(logits), 0};
  if (row.finite) row.log_sum = std::log(SumOfExponentials(logits, row.maximum));
  return row;
}

}  // namespace crossover::engine

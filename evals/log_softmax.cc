#include "evals/log_softmax.h"

#include <algorithm>
#include <cmath>

namespace crossover::evals {
namespace {

// Independent partial results, so that the compiler may keep them in vector registers without being
// allowed to reorder floating-point sums.
constexpr size_t kLanes = 16;

double SumOfExponentials(std::span<const float> logits, float maximum) {
  double lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    float e[kLanes];
    for (size_t l = 0; l < kLanes; ++l) e[l] = ExpNonPositive(logits[i + l] - maximum);
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(e[l]);
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < logits.size(); ++i) sum += static_cast<double>(ExpNonPositive(logits[i] - maximum));
  return sum;
}

}  // namespace

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

}  // namespace crossover::evals

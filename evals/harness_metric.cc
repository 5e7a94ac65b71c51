#include "evals/harness_metric.h"

#include <algorithm>

namespace crossover::evals {

std::string_view MetricName(HarnessMetric metric) {
  return std::find_if(kHarnessMetrics.begin(), kHarnessMetrics.end(),
                      [&](const auto& named) { return named.second == metric; })
      ->first;
}

bool IsProportion(HarnessMetric metric) {
  switch (metric) {
    case HarnessMetric::kAcc:
    case HarnessMetric::kAccNorm:
    case HarnessMetric::kAccBytes:
    case HarnessMetric::kExactMatch:
    case HarnessMetric::kPassAt1:
      return true;
    case HarnessMetric::kPerplexity:
    case HarnessMetric::kWordPerplexity:
    case HarnessMetric::kBytePerplexity:
    case HarnessMetric::kBitsPerByte:
      return false;
  }
  return false;
}

}  // namespace crossover::evals

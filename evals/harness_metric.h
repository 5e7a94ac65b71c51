// The metrics of lm-evaluation-harness's tasks, by its names.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace crossover::evals {

enum class HarnessMetric {
  kAcc,
  kAccNorm,
  kAccBytes,
  kPerplexity,
  kExactMatch,      // of what was generated
  kPassAt1,         // the generated program passes its tests
  kWordPerplexity,  // exp(-Σ ln p / Σ words)
  kBytePerplexity,  // exp(-Σ ln p / Σ bytes)
  kBitsPerByte,     // -Σ ln p / Σ bytes / ln 2
};

inline constexpr std::array kHarnessMetrics = {
    std::pair<std::string_view, HarnessMetric>{"acc", HarnessMetric::kAcc},
    std::pair<std::string_view, HarnessMetric>{"acc_norm", HarnessMetric::kAccNorm},
    std::pair<std::string_view, HarnessMetric>{"acc_bytes", HarnessMetric::kAccBytes},
    std::pair<std::string_view, HarnessMetric>{"perplexity", HarnessMetric::kPerplexity},
    std::pair<std::string_view, HarnessMetric>{"exact_match", HarnessMetric::kExactMatch},
    std::pair<std::string_view, HarnessMetric>{"pass@1", HarnessMetric::kPassAt1},
    std::pair<std::string_view, HarnessMetric>{"word_perplexity", HarnessMetric::kWordPerplexity},
    std::pair<std::string_view, HarnessMetric>{"byte_perplexity", HarnessMetric::kBytePerplexity},
    std::pair<std::string_view, HarnessMetric>{"bits_per_byte", HarnessMetric::kBitsPerByte},
};

std::string_view MetricName(HarnessMetric metric);

/// Whether it is a share of items between 0 and 1, of which more is better; the others are
/// perplexities of some kind.
bool IsProportion(HarnessMetric metric);

}  // namespace crossover::evals

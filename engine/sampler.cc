#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace crossover::engine {
namespace {

void CheckRange(bool ok, const char* name, double value, const char* range) {
  if (!ok) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} is {}: {}", name, value, range));
  }
}

}  // namespace

tokenizer::TokenId ArgMax(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      throw Error(ErrorCode::kNonFinite, fmt::format("the logit of token {} is NaN", i));
    }
    if (logits[i] > logits[best]) best = i;
  }
  return static_cast<tokenizer::TokenId>(best);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  // Negated comparisons, so that NaN is refused too.
  CheckRange(options.temperature >= 0 && std::isfinite(options.temperature), "temperature",
             options.temperature, "must be 0 (greedy) or positive");
  CheckRange(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p,
             "must be in (0, 1]; 1 is off");
  CheckRange(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p,
             "must be in [0, 1]; 0 is off");
}

tokenizer::TokenId Sampler::Sample(std::span<const float> logits) {
  const tokenizer::TokenId best = ArgMax(logits);
  if (!std::isfinite(logits[static_cast<size_t>(best)])) {
    throw Error(ErrorCode::kNonFinite, "no logit is finite");
  }
  if (options_.temperature == 0) return best;

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates_.push_back({logits[i], static_cast<tokenizer::TokenId>(i), 0.0f});
  }
  const auto by_logit = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const size_t k =
      options_.top_k == 0 ? candidates_.size() : std::min(options_.top_k, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(k),
                    candidates_.end(), by_logit);
  candidates_.resize(k);

  // softmax over what top-k left; p[0] is the largest.
  float sum = 0;
  for (Candidate& c : candidates_) sum += c.p = std::exp(c.logit - candidates_[0].logit);
  size_t keep = candidates_.size();
  float mass = 0;
  for (size_t i = 0; i < keep; ++i) {
    mass += candidates_[i].p / sum;
    if (mass >= options_.top_p) keep = i + 1;
  }
  while (keep > 1 && candidates_[keep - 1].p < options_.min_p * candidates_[0].p) --keep;

  double total = 0;
  for (size_t i = 0; i < keep; ++i) {
    candidates_[i].p =
        std::exp((candidates_[i].logit - candidates_[0].logit) / options_.temperature);
    total += candidates_[i].p;
  }
  // 53 random bits: the same draw with every standard library.
  double draw = static_cast<double>(random_() >> 11) * 0x1p-53 * total;
  for (size_t i = 0; i + 1 < keep; ++i) {
    draw -= candidates_[i].p;
    if (draw < 0) return candidates_[i].id;
  }
  return candidates_[keep - 1].id;
}

}  // namespace crossover::engine

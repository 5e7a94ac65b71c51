#include "engine/run/sampler.h"

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
  CheckRange(options.repeat_penalty > 0 && std::isfinite(options.repeat_penalty), "repeat-penalty",
             options.repeat_penalty, "must be positive; 1 is off");
}

void Sampler::See(tokenizer::TokenId token) {
  if (options_.repeat_penalty == 1 || options_.repeat_last_n == 0) return;
  if (recent_.size() == options_.repeat_last_n) recent_.pop_front();
  recent_.push_back(token);
}

// Keskar et al. 2019 (CTRL), section 4.1, with negative logits made smaller too: once for each
// token that was seen, however often.
std::span<const float> Sampler::Penalise(std::span<const float> logits) {
  if (recent_.empty()) return logits;
  penalised_.assign(logits.begin(), logits.end());
  for (const tokenizer::TokenId token : recent_) {
    const auto i = static_cast<size_t>(token);
    if (i >= logits.size()) continue;
    const float logit = logits[i];
    penalised_[i] = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
  }
  return penalised_;
}

tokenizer::TokenId Sampler::Sample(std::span<const float> logits) {
  logits = Penalise(logits);
  const tokenizer::TokenId best = ArgMax(logits);
  if (!std::isfinite(logits[static_cast<size_t>(best)])) {
    throw Error(ErrorCode::kNonFinite, "no logit is finite");
  }
  if (options_.temperature == 0) return best;
  KeepLikeliest(logits);
  KeepMass();
  return Draw();
}

void Sampler::KeepLikeliest(std::span<const float> logits) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates_.push_back({logits[i], static_cast<tokenizer::TokenId>(i), 0.0});
  }
  const auto by_logit = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const size_t k =
      options_.top_k == 0 ? candidates_.size() : std::min(options_.top_k, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(k),
                    candidates_.end(), by_logit);
  candidates_.resize(k);
}

// Softmax over what top-k left; candidates_[0] is the likeliest.
void Sampler::KeepMass() {
  double sum = 0;
  for (Candidate& c : candidates_) {
    sum += c.p = std::exp(static_cast<double>(c.logit - candidates_[0].logit));
  }
  size_t keep = candidates_.size();
  double mass = 0;
  // 1 is off: sums of many small terms may reach it early.
  for (size_t i = 0; i < keep && options_.top_p < 1; ++i) {
    mass += candidates_[i].p / sum;
    if (mass >= static_cast<double>(options_.top_p)) keep = i + 1;
  }
  const double least = static_cast<double>(options_.min_p) * candidates_[0].p;
  while (keep > 1 && candidates_[keep - 1].p < least) --keep;
  candidates_.resize(keep);
}

tokenizer::TokenId Sampler::Draw() {
  double total = 0;
  for (Candidate& c : candidates_) {
    const double distance = static_cast<double>(c.logit - candidates_[0].logit);
    total += c.p = std::exp(distance / static_cast<double>(options_.temperature));
  }
  // 53 random bits: the same draw with every standard library.
  double draw = static_cast<double>(random_() >> 11) * 0x1p-53 * total;
  for (const Candidate& c : candidates_) {
    draw -= c.p;
    if (draw < 0) return c.id;
  }
  return candidates_.back().id;
}

}  // namespace crossover::engine

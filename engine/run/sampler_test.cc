#include "engine/run/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using tokenizer::TokenId;

SamplerOptions Plain(uint64_t seed) {
  SamplerOptions options;
  options.temperature = 1;
  options.top_k = 0;
  options.top_p = 1;
  options.min_p = 0;
  options.seed = seed;
  return options;
}

std::vector<size_t> Draw(const SamplerOptions& options, const std::vector<float>& logits, int n) {
  Sampler sampler(options);
  std::vector<size_t> counts(logits.size());
  for (int i = 0; i < n; ++i) ++counts[static_cast<size_t>(sampler.Sample(logits))];
  return counts;
}

// log of {0.5, 0.3, 0.15, 0.05}, in another order.
const std::vector<float> kLogits{std::log(0.15f), std::log(0.5f), std::log(0.05f), std::log(0.3f)};

TEST_CASE("greedy takes the first of the largest") {
  SamplerOptions options;
  options.temperature = 0;
  Sampler sampler(options);
  CHECK(sampler.Sample(std::vector<float>{1, 3, 2, 3}) == 1);
  CHECK(ArgMax(std::vector<float>{-5, -5}) == 0);
}

// Pearson's statistic of `draws` against the probabilities p, and what it exceeds once in a million
// times (Wilson and Hilferty's approximation). Seeds are fixed: a test passes always or never.
void CheckDistribution(const SamplerOptions& options, const std::vector<float>& logits,
                       const std::vector<double>& p, const std::vector<TokenId>& seen = {}) {
  constexpr int kDraws = 40000;
  Sampler sampler(options);
  for (const TokenId token : seen) sampler.See(token);
  std::vector<size_t> counts(logits.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.Sample(logits))];
  double statistic = 0;
  int freedom = -1;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      CHECK(counts[i] == 0);
      continue;
    }
    const double expected = p[i] * kDraws;
    REQUIRE(expected > 5);
    statistic += std::pow(static_cast<double>(counts[i]) - expected, 2) / expected;
    ++freedom;
  }
  constexpr double kOneInAMillion = 4.75;  // standard deviations
  const double spread = 2.0 / (9 * std::max(freedom, 1));
  const double limit = freedom * std::pow(1 - spread + kOneInAMillion * std::sqrt(spread), 3);
  CHECK(statistic <= limit);
}

// What is left of `weights` where `keeps` holds, to the power, made to sum up to 1.
std::vector<double> Shares(std::vector<double> weights, const std::vector<bool>& keeps,
                           double power = 1) {
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = keeps[i] ? std::pow(weights[i], power) : 0;
    sum += weights[i];
  }
  for (double& w : weights) w /= sum;
  return weights;
}

const std::vector<double> kShares{0.15, 0.5, 0.05, 0.3};  // kLogits
const std::vector<bool> kAll(4, true);

TEST_CASE("draws follow the softmax") {
  SamplerOptions options = Plain(1);
  CheckDistribution(options, kLogits, kShares);
  SUBCASE("to the power of 1/temperature") {
    for (const float temperature : {0.5f, 2.0f}) {
      options.temperature = temperature;
      CheckDistribution(options, kLogits, Shares(kShares, kAll, 1 / temperature));
    }
  }
  SUBCASE("over a vocabulary of many") {
    std::vector<float> logits;
    std::vector<double> weights;
    for (int i = 0; i < 500; ++i) {
      logits.push_back(std::sin(static_cast<float>(i)));
      weights.push_back(std::exp(static_cast<double>(logits.back())));
    }
    CheckDistribution(options, logits, Shares(weights, std::vector<bool>(500, true)));
  }
}

TEST_CASE("draws follow the softmax of what the filters leave") {
  SamplerOptions options = Plain(6);
  const std::vector<bool> two{false, true, false, true}, three{true, true, false, true};
  SUBCASE("top-k") {
    options.top_k = 2;
    CheckDistribution(options, kLogits, Shares(kShares, two));
  }
  SUBCASE("top-p") {
    options.top_p = 0.9f;
    CheckDistribution(options, kLogits, Shares(kShares, three));
  }
  SUBCASE("min-p") {
    options.min_p = 0.2f;
    CheckDistribution(options, kLogits, Shares(kShares, three));
  }
  SUBCASE("all, and the temperature after them") {
    options.top_k = 3;
    options.top_p = 0.99f;
    options.min_p = 0.4f;
    options.temperature = 1.5f;
    CheckDistribution(options, kLogits, Shares(kShares, two, 1 / 1.5));
  }
}

TEST_CASE("the penalty divides positive logits and multiplies negative ones, once a token") {
  SamplerOptions options = Plain(7);
  options.repeat_penalty = 2;
  options.repeat_last_n = 3;
  const std::vector<float> logits{1, -0.5f, 0.5f, 0};
  const auto exact = [](const std::vector<double>& x) {
    std::vector<double> weights;
    for (const double v : x) weights.push_back(std::exp(v));
    return Shares(weights, kAll);
  };
  CheckDistribution(options, logits, exact({1, -0.5, 0.5, 0}));
  CheckDistribution(options, logits, exact({0.5, -1, 0.5, 0}), {0, 1, 0});
  // The first two are out of the window by now.
  CheckDistribution(options, logits, exact({1, -0.5, 0.25, 0}), {0, 1, 3, 2, 2});
  options.temperature = 0;
  Sampler greedy(options);
  greedy.See(0);
  CHECK(greedy.Sample(std::vector<float>{1, 0.6f, 0, 0}) == 1);
}

TEST_CASE("filters drop the tail") {
  SUBCASE("top-k") {
    SamplerOptions options = Plain(3);
    options.top_k = 2;
    const auto counts = Draw(options, kLogits, 2000);
    CHECK(counts[0] + counts[2] == 0);
    CHECK(counts[3] > 0);
  }
  SUBCASE("top-p keeps the token that crosses the mass") {
    SamplerOptions options = Plain(4);
    options.top_p = 0.7f;
    const auto counts = Draw(options, kLogits, 2000);
    CHECK(counts[0] + counts[2] == 0);
    CHECK(counts[3] > 0);
  }
  SUBCASE("min-p is relative to the likeliest") {
    SamplerOptions options = Plain(5);
    options.min_p = 0.25f;
    const auto counts = Draw(options, kLogits, 2000);
    CHECK(counts[2] == 0);
    CHECK(counts[0] > 0);
  }
}

TEST_CASE("a seed reproduces, another differs") {
  std::vector<int> runs[3];
  const uint64_t seeds[] = {7, 7, 8};
  for (int r = 0; r < 3; ++r) {
    Sampler sampler(Plain(seeds[r]));
    for (int i = 0; i < 50; ++i) runs[r].push_back(sampler.Sample(kLogits));
  }
  CHECK(runs[0] == runs[1]);
  CHECK(runs[0] != runs[2]);
}

TEST_CASE("bad logits and bad options are errors, -inf alone is none") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Sampler sampler(Plain(1));
  CHECK_THROWS_AS(sampler.Sample(std::vector<float>{0, std::nanf("")}), Error);
  CHECK_THROWS_AS(sampler.Sample(std::vector<float>{-kInf, -kInf}), Error);
  CHECK(sampler.Sample(std::vector<float>{-kInf, 0}) == 1);
  SamplerOptions options;
  options.temperature = std::nanf("");
  CHECK_THROWS_AS(Sampler{options}, Error);
  options = {};
  options.repeat_penalty = 0;
  CHECK_THROWS_AS(Sampler{options}, Error);
  options = {};
  options.top_p = 0;
  CHECK_THROWS_AS(Sampler{options}, Error);
}

}  // namespace
}  // namespace crossover::engine

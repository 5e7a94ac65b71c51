#include "engine/sampler.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

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

TEST_CASE("draws follow the softmax at temperature 1") {
  constexpr int kDraws = 20000;
  const auto counts = Draw(Plain(1), kLogits, kDraws);
  const double p[] = {0.15, 0.5, 0.05, 0.3};
  for (size_t i = 0; i < 4; ++i) {
    const double expected = p[i] * kDraws;
    const double sigma = std::sqrt(expected * (1 - p[i]));
    CHECK(std::abs(static_cast<double>(counts[i]) - expected) < 4 * sigma);
  }
}

TEST_CASE("temperature sharpens: p^(1/T)") {
  SamplerOptions options = Plain(2);
  options.temperature = 0.5f;
  constexpr int kDraws = 20000;
  const auto counts = Draw(options, kLogits, kDraws);
  const double p = 0.25 / (0.25 + 0.09 + 0.0225 + 0.0025);
  CHECK(std::abs(static_cast<double>(counts[1]) - p * kDraws) <
        4 * std::sqrt(p * (1 - p) * kDraws));
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
  options.top_p = 0;
  CHECK_THROWS_AS(Sampler{options}, Error);
}

}  // namespace
}  // namespace crossover::engine

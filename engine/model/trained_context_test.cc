#include "engine/model/trained_context.h"

#include <optional>
#include <utility>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

ModelConfig Config(size_t context, std::vector<RopeConfig> ropes) {
  ModelConfig config;
  config.context = context;
  config.ropes = std::move(ropes);
  return config;
}

RopeConfig Rope(double factor, size_t original_context, std::optional<Yarn> yarn = std::nullopt) {
  RopeConfig rope;
  rope.factor = factor;
  rope.yarn = yarn;
  rope.original_context = original_context;
  return rope;
}

TEST_CASE("the context of a model is what it was trained for, or stretched to") {
  CHECK(TrainedContext(Config(4096, {Rope(1, 4096)})) == 4096);
  // YaRN, with the context of the first training in either key.
  CHECK(TrainedContext(Config(32768, {Rope(4, 32768, Yarn())})) == 131072);
  CHECK(TrainedContext(Config(131072, {Rope(4, 32768, Yarn())})) == 131072);
  // Long-RoPE has divisors and no factor.
  CHECK(TrainedContext(Config(131072, {Rope(1, 4096)})) == 131072);
  CHECK(TrainedContext(Config(4096, {Rope(2, 4096)})) == 8192);
  // Layers with a window are not stretched: the others have their context already (Gemma 3).
  CHECK(TrainedContext(Config(131072, {Rope(8, 131072), Rope(1, 131072)})) == 131072);
}

}  // namespace
}  // namespace crossover::engine

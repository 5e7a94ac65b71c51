#include "engine/run/non_finite.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/run/engine.h"
#include "engine/run/sequence.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using test::Contains;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A tiny model with one number of one tensor changed.
std::shared_ptr<const Model> Poked(const test::TemporaryDirectory& directory,
                                   const std::string& tensor, size_t element, float value,
                                   WeightLayout layout = WeightLayout::kMapped) {
  const auto path = test::SourceRoot() / "models/reference-s.gguf";
  std::string bytes = ReadFile(path);
  {
    const auto file = Model::Load(path);
    const GgufTensor* found = file->file().FindTensor(tensor);
    REQUIRE(found != nullptr);
    if (found->format == quant::FindFormat("F32")->format) {
      std::memcpy(bytes.data() + found->offset + element * sizeof value, &value, sizeof value);
    } else {
      REQUIRE(found->format == quant::FindFormat("F16")->format);
      const uint16_t half = std::isnan(value) ? 0x7E00 : 0x7C00;
      std::memcpy(bytes.data() + found->offset + element * sizeof half, &half, sizeof half);
    }
  }
  const auto out = directory / "poked.gguf";
  WriteFile(out, bytes);
  return Model::Load(out, {.weights = layout});
}

std::string Located(std::shared_ptr<const Model> model, const EngineOptions& options = {}) {
  Engine engine(std::move(model), options);
  const std::vector<TokenId> tokens = {1, 300, 301, 302, 303, 304, 305, 306};
  return LocateNonFinite(engine, tokens);
}

TEST_CASE("non_finite: the tensor that holds no number is named, with the place") {
  const test::TemporaryDirectory directory;
  struct Case {
    const char* tensor;
    size_t element;
    float value;
    const char* said;
  };
  for (const Case& c : {
           Case{"blk.2.ffn_norm.weight", 5, kNan,
                "layer 2, blk.2.ffn_norm.weight: column 5 is nan"},
           Case{"blk.1.attn_norm.weight", 0, kInfinity, "blk.1.attn_norm.weight: column 0 is inf"},
           Case{"blk.3.ffn_down.weight", 768 * 4 + 7, kNan,
                "layer 3, blk.3.ffn_down.weight: row 4, column 7 is nan"},
           Case{"blk.0.attn_k.weight", 256 * 2 + 1, kInfinity,
                "blk.0.attn_k.weight: row 2, column 1"},
           Case{"blk.1.ffn_up.weight", 3, kNan, "blk.1.ffn_up.weight: row 0, column 3 is nan"},
           Case{"blk.1.attn_output.weight", 3, kInfinity, "blk.1.attn_output.weight: row 0"},
           Case{"token_embd.weight", 256 * 301, kNan, "token_embd.weight: row 301, column 0"},
           Case{"output_norm.weight", 9, kNan, "first in output_norm.weight: column 9 is nan"},
       }) {
    CAPTURE(c.tensor);
    for (const WeightLayout layout : {WeightLayout::kMapped, WeightLayout::kPacked}) {
      const std::string said = Located(Poked(directory, c.tensor, c.element, c.value, layout));
      CAPTURE(said);
      CHECK(Contains(said, c.said));
    }
  }
}

TEST_CASE("non_finite: of a tied embedding a row that no token reads shows in the logits") {
  const test::TemporaryDirectory directory;
  CHECK(Contains(Located(Poked(directory, "token_embd.weight", 256 * 77, kNan)),
                 "token_embd.weight: row 77"));
}

TEST_CASE("non_finite: where all weights are numbers, the largest that overflows is named") {
  const test::TemporaryDirectory directory;
  const std::string said = Located(Poked(directory, "blk.2.attn_norm.weight", 3, 3e38f));
  CAPTURE(said);
  CHECK(Contains(said, "layer 2"));
  CHECK(Contains(said, "3e+38 in blk.2.attn_norm.weight"));
}

TEST_CASE("non_finite: values that the cache's format does not hold are told from weights") {
  const test::TemporaryDirectory directory;
  const std::string said = Located(Poked(directory, "blk.1.attn_norm.weight", 3, 1e7f));
  CAPTURE(said);
  CHECK(Contains(said, "layer 1, attention"));
  CHECK(Contains(said, "--kv-type f32"));
}

TEST_CASE("non_finite: a sound model is not accused") {
  CHECK(Contains(Located(Model::Load(test::SourceRoot() / "models/reference-s.gguf")),
                 "when the text is run by itself"));
}

TEST_CASE("non_finite: generating and scoring say where") {
  const test::TemporaryDirectory directory;
  const auto model = Poked(directory, "blk.3.ffn_down.weight", 0, kNan);
  const auto tokenizer = LoadTokenizer(model->file());
  Engine engine(model, {});
  const std::vector<TokenId> tokens = {1, 300, 301};
  CHECK_THROWS_WITH_AS(Generate(engine, *tokenizer, tokens, {}),
                       doctest::Contains("token 1 of the text: the model's logits are not finite: "
                                         "first in layer 3, blk.3.ffn_down.weight"),
                       Error);
  CHECK_THROWS_WITH_AS(Score(engine, tokens, tokens), doctest::Contains("blk.3.ffn_down.weight"),
                       Error);
}

TEST_CASE("non_finite: a probe changes no logit") {
  Engine engine(Model::Load(test::SourceRoot() / "models/reference-s.gguf"),
                {.deterministic = true});
  const std::vector<TokenId> tokens = {1, 300, 301, 302, 303};
  const auto run = [&](const Probe* probe) {
    const ScopedSequence sequence(engine);
    const Chunk chunk{sequence.id(), tokens, 0};
    const Logits logits = engine.Forward({&chunk, 1}, {.probe = probe});
    return std::vector<float>(logits.data, logits.data + logits.rows * logits.vocab);
  };
  size_t calls = 0;
  const Probe probe = [&](Step, size_t, std::span<const float>) { ++calls; };
  CHECK(run(nullptr) == run(&probe));
  CHECK(calls == 2 + engine.model().config().layers * 10);
}

}  // namespace
}  // namespace crossover::engine

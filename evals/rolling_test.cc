#include "evals/rolling.h"

#include <algorithm>
#include <string>
#include <vector>

#include "engine/model/load_tokenizer.h"
#include "evals/capacity.h"
#include "evals/embedded.h"
#include "evals/prompts.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("rolling: windows of four over ten tokens") {
  // Fed positions count the prefix token as 0, so that position p predicts token p.
  const auto windows = RollingWindows(10, 4);
  REQUIRE(windows.size() == 3);
  CHECK((windows[0].begin == 0 && windows[0].end == 4 && windows[0].predicted == 4));
  CHECK((windows[1].begin == 4 && windows[1].end == 8 && windows[1].predicted == 4));
  CHECK((windows[2].begin == 6 && windows[2].end == 10 && windows[2].predicted == 2));
  REQUIRE(RollingWindows(3, 4).size() == 1);
  CHECK(RollingWindows(3, 4)[0].predicted == 3);
  CHECK(RollingWindows(8, 4).size() == 2);
}

// Each window by hand, with the engine's own Score.
TEST_CASE("rolling: a text longer than the context, and one shorter") {
  const auto model = engine::Model::Load(EmbeddedModel("xs"));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  engine::EngineOptions base;
  base.activations = kernels::Activations::kF32;
  engine::Engine engine(model, EvaluationEngineOptions(base, model->config()));
  const size_t length = model->config().context;
  std::string words = "Once";
  for (int i = 0; i < 700; ++i) words += i % 3 == 0 ? " upon a time" : " the king";
  const std::vector<std::string> texts = {words, "The king was old."};
  std::vector<size_t> done;
  const ScoreOptions options{.progress = [&](size_t n, size_t) { done.push_back(n); }};
  const auto scored = ScoreRolling(engine, *tokenizer, texts, options);
  CHECK(done == std::vector<size_t>{1, 2});
  for (size_t t = 0; t < texts.size(); ++t) {
    auto tokens = tokenizer->Encode(texts[t], {.add_special = false, .parse_special = false});
    CHECK((tokens.size() > 2 * length) == (t == 0));
    tokens.insert(tokens.begin(), PrefixToken(*tokenizer));
    double expected = 0;
    for (const RollingWindow& window : RollingWindows(tokens.size() - 1, length)) {
      const auto fed = std::span(tokens).subspan(window.begin, window.end + 1 - window.begin);
      for (const double p : engine::Score(engine, fed.first(fed.size() - window.predicted),
                                          fed.last(window.predicted))) {
        expected += p;
      }
    }
    CHECK(scored.answers[t].log_likelihood[0] == doctest::Approx(expected).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace crossover::evals

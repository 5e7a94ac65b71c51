#include "engine/run/generate.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/run/engine.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using nlohmann::json;

// A model with its tokenizer and an engine that rounds nothing but the weights.
struct Setup {
  explicit Setup(const std::string& name, size_t kv_capacity = 4096)
      : model(Model::Load(test::SourceRoot() / ("models/reference-" + name + ".gguf"))),
        tokenizer(LoadTokenizer(model->file())),
        engine(model, {.threads = 2,
                       .activations = kernels::Activations::kF32,
                       .kv_format = quant::FindFormat("F32")->format,
                       .kv_capacity = kv_capacity}) {}
  std::vector<std::vector<TokenId>> Encode(const std::vector<std::string>& texts) const {
    std::vector<std::vector<TokenId>> prompts;
    for (const std::string& text : texts) prompts.push_back(tokenizer->Encode(text));
    return prompts;
  }

  std::shared_ptr<const Model> model;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
  Engine engine;
};

GenerateOptions Greedy(size_t tokens) {
  GenerateOptions options;
  options.max_tokens = tokens;
  options.sampler.temperature = 0;
  return options;
}

TEST_CASE("greedy texts are llama.cpp's") {
  const json goldens = json::parse(ReadFile(test::SourceRoot() / "tests/data/greedy_goldens.json"));
  GenerateOptions options = Greedy(64);
  options.ignore_eos = true;
  for (const std::string name : {"xs", "s", "m"}) {
    CAPTURE(name);
    Setup setup(name);
    const auto prompts = setup.Encode(goldens.at("prompts"));
    const auto results = GenerateAll(setup.engine, *setup.tokenizer, prompts, options, 8);
    REQUIRE(results.size() == 10);
    for (size_t i = 0; i < results.size(); ++i) {
      CAPTURE(i);
      const std::vector<TokenId> expected = goldens.at(name).at(i);
      CHECK(std::ranges::equal(expected, std::span(results[i].ids).first(expected.size())));
    }
  }
}

const std::vector<std::string> kTexts{"Once upon a time", "The king",
                                      "59 + 42 =", "Say: some when have\nAgain:", "She"};

TEST_CASE("texts that run together are those that run alone") {
  Setup setup("xs");
  GenerateOptions options;
  options.max_tokens = 24;
  options.sampler.seed = 7;
  options.stop_strings = {"\n"};
  const auto prompts = setup.Encode(kTexts);
  std::vector<std::string> alone;
  for (const auto& prompt : prompts) {
    alone.push_back(Generate(setup.engine, *setup.tokenizer, prompt, options).text);
  }
  for (const size_t parallel : {1, 2, 5}) {
    CAPTURE(parallel);
    std::vector<size_t> ended;
    const auto results = GenerateAll(setup.engine, *setup.tokenizer, prompts, options, parallel,
                                     [&](size_t i, const auto&) { ended.push_back(i); });
    for (size_t i = 0; i < prompts.size(); ++i) {
      CHECK(results[i].text == alone[i]);
      CHECK(results[i].prompt_tokens == prompts[i].size());
    }
    std::ranges::sort(ended);
    CHECK(ended == std::vector<size_t>{0, 1, 2, 3, 4});
  }
}

TEST_CASE("with a cache too small for all at once, texts wait and are the same") {
  Setup large("xs"), small("xs", 64);
  const auto prompts = large.Encode(kTexts);
  const auto options = Greedy(24);
  const auto expected = GenerateAll(large.engine, *large.tokenizer, prompts, options, 5);
  const auto results = GenerateAll(small.engine, *small.tokenizer, prompts, options, 5);
  for (size_t i = 0; i < prompts.size(); ++i) CHECK(results[i].ids == expected[i].ids);
}

TEST_CASE("a text that alone outgrows the cache says so, and the others end as they should") {
  Setup setup("xs", 32);
  const auto prompts = setup.Encode({"Once upon a time", "The king"});
  GenerateOptions options = Greedy(100);
  options.ignore_eos = true;
  const auto results = GenerateAll(setup.engine, *setup.tokenizer, prompts, options, 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(results[i].end == GenerateEnd::kOutOfMemory);
    CHECK(results[i].ids.size() + prompts[i].size() >= 32);
  }
}

TEST_CASE("bad prompts and options are refused before anything runs") {
  Setup setup("xs");
  auto options = Greedy(4);
  const std::vector<std::vector<TokenId>> empty{{}};
  CHECK_THROWS_AS(GenerateAll(setup.engine, *setup.tokenizer, empty, options, 2), Error);
  options.stop_strings = {""};
  const auto prompts = setup.Encode({"a"});
  CHECK_THROWS_AS(GenerateAll(setup.engine, *setup.tokenizer, prompts, options, 2), Error);
  options = Greedy(4);
  options.sampler.top_p = 2;
  CHECK_THROWS_AS(GenerateAll(setup.engine, *setup.tokenizer, prompts, options, 2), Error);
  CHECK(GenerateAll(setup.engine, *setup.tokenizer, {}, Greedy(4), 2).empty());
}

TEST_CASE("a caller that has enough ends the text") {
  Setup setup("xs");
  auto options = Greedy(20);
  size_t calls = 0;
  options.on_text = [&](const std::string&) { return ++calls < 3; };
  const auto prompt = setup.tokenizer->Encode("Once upon a time");
  const auto result = Generate(setup.engine, *setup.tokenizer, prompt, options);
  CHECK(calls == 3);
  CHECK(result.end == GenerateEnd::kCaller);
  CHECK(result.ids.size() < 20);
}

}  // namespace
}  // namespace crossover::engine

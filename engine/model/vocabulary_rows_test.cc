// Models whose vocabulary has more or fewer tokens than they have rows of embeddings and logits.
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/files/gguf_array.h"
#include "engine/files/gguf_writer.h"
#include "engine/model/vocabulary_rows.h"
#include "engine/run/engine.h"
#include "kernels/matmul.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using test::Contains;
using test::RefusalOf;

/// The smallest reference model with `more_tokens` in its vocabulary, or `more_rows` of large
/// values in its embedding and logits.
class Padded {
 public:
  Padded(size_t more_tokens, size_t more_rows)
      : source_(GgufFile::Open(test::SourceRoot() / "models/reference-xs.gguf")),
        metadata_(source_->metadata()) {
    for (auto& [key, value] : metadata_) {
      if (key == "tokenizer.ggml.tokens") {
        std::vector<std::string> tokens = ReadStrings(value).value();
        tokens_ = tokens.size();
        for (size_t i = 0; i < more_tokens; ++i) tokens.push_back("more " + std::to_string(i));
        value.value = std::move(tokens);
      }
      if (key == "tokenizer.ggml.token_type") {
        std::vector<int64_t> types = ReadIntegers(value).value();
        types.insert(types.end(), more_tokens, 1);
        value.value = std::move(types);
      }
    }
    Write(more_rows);
  }
  std::filesystem::path path() const { return directory_ / "padded.gguf"; }
  size_t tokens() const { return tokens_; }  // without those added

 private:
  void Write(size_t more_rows) {
    std::vector<GgufTensorInfo> infos;
    const auto is_rows = [](const GgufTensor& t) {
      return t.name == "token_embd.weight" || t.name == "output.weight";
    };
    for (const GgufTensor& t : source_->tensors()) {
      infos.push_back({t.name, t.format, t.shape});
      if (is_rows(t)) infos.back().shape[1] += more_rows;
    }
    GgufWriter writer(path(), metadata_, infos);
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 3);
    for (const GgufTensor& t : source_->tensors()) {
      writer.Append(t.data);
      if (!is_rows(t) || more_rows == 0) continue;
      std::vector<float> row(t.shape[0]);
      std::vector<std::byte> bytes(quant::Info(t.format).row_bytes(row.size()));
      for (size_t i = 0; i < more_rows; ++i) {
        for (float& w : row) w = normal(random);
        kernels::EncodeRow(t.format, row.data(), row.size(), bytes.data());
        writer.Append(bytes);
      }
    }
    writer.Commit();
  }

  test::TemporaryDirectory directory_;
  std::shared_ptr<const GgufFile> source_;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  size_t tokens_ = 0;
};

TEST_CASE(
    "vocabulary rows: more tokens than rows are refused, by number, where a model is loaded") {
  for (const size_t more : {1, 8}) {
    const Padded file(more, 0);
    const std::string refusal = RefusalOf([&] { Model::Load(file.path()); });
    CAPTURE(refusal);
    CHECK(Contains(refusal, "padded.gguf"));
    CHECK(Contains(refusal, std::to_string(file.tokens()) + " rows"));
    CHECK(Contains(refusal, std::to_string(file.tokens() + more) + " tokens"));
  }
}

TEST_CASE(
    "vocabulary rows: another model's tokenizer with more tokens is refused with the engine") {
  const Padded larger(8, 0);
  const auto tokenizer = LoadTokenizer(*GgufFile::Open(larger.path()));
  Engine engine(Model::Load(test::SourceRoot() / "models/reference-xs.gguf"), {});
  const std::vector<TokenId> prompt = tokenizer->Encode("the 12");
  CHECK(Contains(RefusalOf([&] { Generate(engine, *tokenizer, prompt, {}); }), "rows"));
  const GenerateRequest request{prompt, {}};
  CHECK(Contains(RefusalOf([&] { GenerateAll(engine, *tokenizer, {&request, 1}, 1); }), "rows"));
}

TEST_CASE("vocabulary rows: rows behind the vocabulary are never drawn") {
  const Padded padded(0, 100);
  const auto model = Model::Load(padded.path());
  CHECK(CountTokens(model->file(), 7) == padded.tokens());
  CHECK(model->config().vocab == padded.tokens() + 100);
  const auto tokenizer = LoadTokenizer(model->file());
  Engine engine(model, {});
  const std::vector<TokenId> prompt = tokenizer->Encode("the 12");

  const SequenceId sequence = engine.CreateSequence();
  const Logits logits = Prefill(engine, sequence, prompt);
  REQUIRE(static_cast<size_t>(ArgMax(logits.row(0))) >= padded.tokens());  // they are largest
  const TokenId likeliest = ArgMax(logits.row(0).first(padded.tokens()));
  CHECK(LikeliestToken(Normalise(logits.row(0)), logits.row(0), padded.tokens()) == likeliest);

  for (const float temperature : {0.0f, 1.0f, 20.0f}) {
    CAPTURE(temperature);
    GenerateOptions options;
    options.max_tokens = 40;
    options.ignore_eos = true;
    options.sampler = {.temperature = temperature, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 5};
    const GenerateResult alone = Generate(engine, *tokenizer, prompt, options);
    CHECK(alone.ids.size() == 40);
    if (temperature == 0) CHECK(alone.ids.front() == likeliest);
    const GenerateRequest request{prompt, options};
    const auto together = GenerateAll(engine, *tokenizer, {&request, 1}, 1).front();
    for (const auto* ids : {&alone.ids, &together.ids}) {
      for (const TokenId id : *ids) CHECK(static_cast<size_t>(id) < padded.tokens());
    }
  }
}

TEST_CASE("vocabulary rows: probabilities are shares of all rows") {
  const Padded padded(0, 100);
  Engine engine(Model::Load(padded.path()), {.activations = kernels::Activations::kF32});
  const auto tokenizer = LoadTokenizer(engine.model().file());
  const std::vector<TokenId> text = tokenizer->Encode("the 12 rings");
  const auto scores = Score(engine, std::span(text).first(1), std::span(text).subspan(1));
  const SequenceId sequence = engine.CreateSequence();
  const Logits logits = Prefill(engine, sequence, std::span(text).first(1));
  double sum = 0, own = 0;
  for (size_t i = 0; i < logits.vocab; ++i) {
    const double e = std::exp(static_cast<double>(logits.data[i]));
    sum += e;
    if (i == static_cast<size_t>(text[1])) own = e;
  }
  CHECK(scores.front() == doctest::Approx(std::log(own / sum)).epsilon(1e-5));
}

}  // namespace
}  // namespace crossover::engine

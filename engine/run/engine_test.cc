#include "engine/run/engine.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/quantize_file.h"
#include "engine/run/generate.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

std::shared_ptr<const Model> Reference() {
  static const auto kModel = Model::Load(test::SourceRoot() / "models/reference-xs.gguf");
  return kModel;
}

EngineOptions Options(size_t threads = 1) {
  EngineOptions options;
  options.threads = threads;
  options.activations = kernels::Activations::kF32;
  options.kv_format = quant::FindFormat("F32")->format;
  options.kv_capacity = 512;
  options.max_batch = 64;
  return options;
}

std::vector<TokenId> Ids(size_t n, uint32_t seed) {
  std::vector<TokenId> ids(n);
  for (TokenId& id : ids) {
    seed = seed * 1664525u + 1013904223u;
    id = static_cast<TokenId>(seed >> 20);
  }
  return ids;
}

/// Logits of every token when fed in passes of `step`.
std::vector<float> Score(Engine& engine, std::span<const TokenId> ids, size_t step) {
  std::vector<float> all;
  const SequenceId sequence = engine.CreateSequence();
  for (size_t i = 0; i < ids.size(); i += step) {
    const Chunk chunk{sequence, ids.subspan(i, std::min(step, ids.size() - i)), 0};
    const Logits logits = engine.Forward({&chunk, 1});
    all.insert(all.end(), logits.data, logits.data + logits.rows * logits.vocab);
  }
  engine.FreeSequence(sequence);
  return all;
}

float MaxDifference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

// Logits of the family have a standard deviation near 3; float32 sums in another order move the
// sixth digit.
constexpr float kRounding = 1e-3f;

TEST_CASE("logits do not depend on how a prompt is cut into passes") {
  Engine engine(Reference(), Options());
  const auto ids = Ids(50, 1);
  const auto whole = Score(engine, ids, 50);
  for (const size_t step : {1, 7, 16, 17}) {
    CAPTURE(step);
    CHECK(MaxDifference(whole, Score(engine, ids, step)) < kRounding);
  }
  CHECK(engine.kv().usage().free == engine.kv().pages());
}

TEST_CASE("packed weights give the mapped ones' logits") {
  const test::TemporaryDirectory directory;
  const auto source = test::SourceRoot() / "models/reference-xs.gguf";
  const auto ids = Ids(40, 10);
  for (const char* recipe : {"Q4_K_M", "Q2_K", "Q8_0"}) {
    CAPTURE(recipe);
    const auto path = directory / (std::string(recipe) + ".gguf");
    QuantizeFile(source, path, quant::FindRecipe(recipe), {});
    const auto mapped = Model::Load(path);
    const auto packed = Model::Load(path, {.weights = WeightLayout::kPacked, .threads = 3});
    CHECK(mapped->packed_bytes() == 0);
    CHECK(packed->packed_bytes() > mapped->bytes_per_token() / 2);
    CHECK(packed->bytes_per_token() == mapped->bytes_per_token());
    for (const auto activations : {kernels::Activations::kF32, kernels::Activations::kQ8}) {
      EngineOptions options = Options(2);
      options.activations = activations;
      Engine a(mapped, options);
      Engine b(packed, options);
      // A difference in the last digit can turn an 8-bit code to its neighbour: 1/127 of one input.
      const float bound = activations == kernels::Activations::kQ8 ? 0.2f : kRounding;
      CHECK(MaxDifference(Score(a, ids, 40), Score(b, ids, 40)) < bound);
      CHECK(MaxDifference(Score(a, ids, 1), Score(b, ids, 1)) < bound);
    }
  }
}

TEST_CASE("sequences in one batch do not see each other") {
  Engine engine(Reference(), Options(2));
  const auto a = Ids(20, 3);
  const auto b = Ids(9, 4);
  const auto alone_a = Score(engine, a, 20);
  const auto alone_b = Score(engine, b, 9);
  const SequenceId first = engine.CreateSequence();
  const SequenceId second = engine.CreateSequence();
  // b's prompt beside a's first half, then a's second half beside nothing.
  const Chunk mixed[] = {{first, std::span(a).first(11), 0}, {second, b, 8}};
  const Logits logits = engine.Forward(mixed);
  REQUIRE(logits.rows == 12);
  const size_t vocab = logits.vocab;
  CHECK(MaxDifference(std::span(alone_a).first(11 * vocab), {logits.data, 11 * vocab}) < kRounding);
  CHECK(MaxDifference(std::span(alone_b).last(vocab), logits.row(11)) < kRounding);
  const Chunk rest{first, std::span(a).subspan(11), 0};
  const Logits later = engine.Forward({&rest, 1});
  CHECK(MaxDifference(std::span(alone_a).last(9 * vocab), {later.data, 9 * vocab}) < kRounding);
}

TEST_CASE("a truncated sequence continues as if the rest had never been") {
  Engine engine(Reference(), Options());
  const auto ids = Ids(30, 5);
  const SequenceId sequence = engine.CreateSequence();
  const Chunk all{sequence, ids, 29};
  const Logits logits = engine.Forward({&all, 1});
  const std::vector<float> expected(logits.data, logits.data + logits.vocab);
  engine.Truncate(sequence, 12);
  const auto other = Ids(10, 6);
  const Chunk detour{sequence, other, 10};
  CHECK(engine.Forward({&detour, 1}).rows == 0);
  engine.Truncate(sequence, 12);
  const Chunk back{sequence, std::span(ids).subspan(12), 17};
  CHECK(MaxDifference(expected, engine.Forward({&back, 1}).row(0)) < kRounding);
}

TEST_CASE("smaller KV types stay near, and 8-bit activations too") {
  const auto ids = Ids(48, 7);
  Engine exact(Reference(), Options());
  const auto expected = Score(exact, ids, 48);
  double power = 0;
  for (const float x : expected) power += static_cast<double>(x) * x;
  const auto relative = [&](const EngineOptions& options, size_t step) {
    Engine engine(Reference(), options);
    const auto found = Score(engine, ids, step);
    double error = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      error += std::pow(static_cast<double>(found[i]) - expected[i], 2);
    }
    return std::sqrt(error / power);
  };
  // Two-sided: a KV type that changed nothing would not have been used.
  const std::pair<const char*, double> kTypes[] = {
      {"F16", 1e-3}, {"BF16", 1e-2}, {"Q8_0", 2e-2}, {"Q4_0", 3e-1}};
  double previous = 0;
  for (const auto& [name, bound] : kTypes) {
    const auto& shown = name;  // clang 14 captures no structured binding
    CAPTURE(shown);
    EngineOptions options = Options();
    options.kv_format = quant::FindFormat(name)->format;
    const double error = relative(options, 48);
    CHECK(error > previous * 0.5);
    CHECK(error > 1e-7);
    CHECK(error < bound);
    previous = error;
  }
}

TEST_CASE("a batch that cannot be run is refused and changes nothing") {
  EngineOptions options = Options();
  options.kv_capacity = 32;
  Engine engine(Reference(), options);
  const SequenceId sequence = engine.CreateSequence();
  const SequenceId other = engine.CreateSequence();
  const auto ids = Ids(20, 8);
  const Chunk good{sequence, ids, 20};
  engine.Forward({&good, 1});

  const auto refuse = [&](std::vector<Chunk> batch, ErrorCode code) {
    try {
      engine.Forward(batch);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == code);
    }
    CHECK(engine.length(sequence) == 20);
    CHECK(engine.length(other) == 0);
  };
  const TokenId outside[] = {4096};
  const TokenId negative[] = {-1};
  const auto many = Ids(65, 9);
  refuse({}, ErrorCode::kInvalidArgument);
  refuse({{sequence, {}, 0}}, ErrorCode::kInvalidArgument);
  refuse({{sequence, outside, 0}}, ErrorCode::kInvalidArgument);
  refuse({{sequence, negative, 0}}, ErrorCode::kInvalidArgument);
  refuse({{sequence, many, 0}}, ErrorCode::kInvalidArgument);
  refuse({{sequence, ids, 0}, {sequence, ids, 0}}, ErrorCode::kInvalidArgument);
  refuse({{other, std::span(ids).first(4), 0}, {sequence, ids, 0}}, ErrorCode::kOutOfMemory);
  refuse({{99, ids, 0}}, ErrorCode::kInvalidArgument);
}

TEST_CASE("greedy generation reproduces and decodes to its text") {
  const auto tokenizer = LoadTokenizer(Reference()->file());
  Engine engine(Reference(), Options(2));
  const auto prompt = tokenizer->Encode("Once upon a time");
  GenerateOptions options;
  options.max_tokens = 12;
  options.sampler.temperature = 0;
  options.ignore_eos = true;
  std::string streamed;
  options.on_text = [&](const std::string& bytes) {
    streamed += bytes;
    return true;
  };
  const GenerateResult first = Generate(engine, *tokenizer, prompt, options);
  const GenerateResult second = Generate(engine, *tokenizer, prompt, options);
  CHECK(first.ids.size() == 12);
  CHECK(first.decode_passes == 11);
  CHECK(first.ids == second.ids);
  CHECK(streamed == first.text + second.text);
  CHECK(engine.kv().usage().free == engine.kv().pages());
  CHECK(first.end == GenerateEnd::kLength);
  CHECK_THROWS_AS(Generate(engine, *tokenizer, {}, options), Error);
}

TEST_CASE("a seed reproduces a text") {
  const auto tokenizer = LoadTokenizer(Reference()->file());
  Engine engine(Reference(), Options(2));
  const auto prompt = tokenizer->Encode("Once upon a time");
  std::vector<std::string> texts;
  for (const uint64_t seed : {7, 7, 8}) {
    GenerateOptions options;
    options.max_tokens = 24;
    options.sampler.seed = seed;
    texts.push_back(Generate(engine, *tokenizer, prompt, options).text);
  }
  CHECK(texts[0] == texts[1]);
  CHECK(texts[0] != texts[2]);
}

TEST_CASE("a stop string ends the text before itself, wherever the tokens' borders are") {
  const auto tokenizer = LoadTokenizer(Reference()->file());
  Engine engine(Reference(), Options(2));
  const auto prompt = tokenizer->Encode("Once upon a time");
  GenerateOptions options;
  options.max_tokens = 24;
  options.sampler.temperature = 0;
  const std::string whole = Generate(engine, *tokenizer, prompt, options).text;
  REQUIRE(whole.size() > 20);
  for (size_t begin = 5; begin < 12; ++begin) {
    const std::string stop = whole.substr(begin, 7);
    options.stop_strings = {"never", stop};
    std::string streamed;
    options.on_text = [&](const std::string& text) {
      streamed += text;
      return true;
    };
    const GenerateResult result = Generate(engine, *tokenizer, prompt, options);
    CHECK(result.end == GenerateEnd::kStopString);
    CHECK(result.text == whole.substr(0, whole.find(stop)));
    CHECK(streamed == result.text);
  }
}

TEST_CASE("Continue takes up a sequence where it stands") {
  const auto tokenizer = LoadTokenizer(Reference()->file());
  EngineOptions engine_options = Options(2);
  engine_options.activations = kernels::Activations::kF32;
  Engine engine(Reference(), engine_options);
  const auto prompt = tokenizer->Encode("Once upon a time");
  GenerateOptions options;
  options.max_tokens = 16;
  options.sampler.temperature = 0;
  const GenerateResult whole = Generate(engine, *tokenizer, prompt, options);
  options.max_tokens = 8;
  const SequenceId sequence = engine.CreateSequence();
  const GenerateResult first = Continue(engine, *tokenizer, sequence, prompt, options);
  CHECK(engine.length(sequence) == prompt.size() + 7);
  const GenerateResult second =
      Continue(engine, *tokenizer, sequence, std::span(first.ids).last(1), options);
  CHECK(first.text + second.text == whole.text);
  engine.FreeSequence(sequence);
}

TEST_CASE("scores are the log-probabilities of the next tokens") {
  Engine engine(Reference(), Options(2));
  const std::vector<TokenId> context{1, 5, 9}, continuation{200, 30, 4};
  const std::vector<double> scores = Score(engine, context, continuation);
  REQUIRE(scores.size() == 3);
  std::vector<TokenId> all = context;
  all.insert(all.end(), continuation.begin(), continuation.end());
  const SequenceId sequence = engine.CreateSequence();
  const Chunk chunk{sequence, all, 2};
  const Logits logits = engine.Forward({&chunk, 1});
  for (size_t i = 0; i < 3; ++i) {
    double sum = 0;
    for (const float logit : logits.row(i)) sum += std::exp(static_cast<double>(logit));
    const auto token = static_cast<size_t>(continuation[i]);
    const double expected = static_cast<double>(logits.row(i)[token]) - std::log(sum);
    CHECK(scores[i] == doctest::Approx(expected).epsilon(1e-3));
  }
  CHECK(Score(engine, context, std::vector<TokenId>{}).empty());
  CHECK_THROWS_AS(Score(engine, {}, continuation), Error);
  CHECK_THROWS_AS(Score(engine, context, std::vector<TokenId>{-1}), Error);
  engine.FreeSequence(sequence);
}

}  // namespace
}  // namespace crossover::engine

#include "engine/synth/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/quantize_file.h"
#include "engine/run/engine.h"
#include "engine/synth/synth_model.h"
#include "engine/synth/synth_weights.h"
#include "quant/format_list.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using test::TemporaryDirectory;

/// A shape of that name's family and proportions that is made and run in no time. The vocabulary is
/// large enough for merged words.
SynthShape Tiny(std::string_view name) {
  SynthShape shape = FindSynthShape(name);
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 64;
  shape.width = 256;
  shape.ffn = 512;
  shape.layers = 9;  // rules on i < n/8 and on every third layer differ from layer to layer
  shape.vocabulary = 1500;
  shape.context = 256;
  return shape;
}

void Synthesize(const SynthShape& shape, std::string_view recipe, const std::filesystem::path& out,
                uint64_t seed = 1) {
  SynthOptions options;
  options.seed = seed;
  SynthesizeFile(shape, quant::FindRecipe(recipe), out, options);
}

// The totals that the models' authors publish.
TEST_CASE("synth: each shape has the published number of parameters") {
  const std::map<std::string_view, uint64_t> published{
      {"qwen2.5-0.5b", 494032768},  {"qwen2.5-1.5b", 1543714304}, {"qwen2.5-3b", 3085938688},
      {"qwen2.5-7b", 7615616512},   {"qwen2.5-14b", 14770033664}, {"llama-3.2-1b", 1235814400},
      {"llama-3.2-3b", 3212749824}, {"llama-3.1-8b", 8030261248}, {"phi-4", 14659507200},
      {"gemma-2-2b", 2614341888},   {"gemma-2-9b", 9241705984}};
  CHECK(SynthShapes().size() == published.size());
  for (const SynthShape& shape : SynthShapes()) {
    INFO(shape.name);
    CHECK(SynthParameters(shape) == published.at(shape.name));
  }
}

TEST_CASE("synth: formats, order and size are what quantize makes of an F16 file") {
  const TemporaryDirectory directory;
  for (const char* family : {"qwen2.5-7b", "qwen2.5-0.5b", "phi-4", "gemma-2-2b"}) {
    SynthShape shape = Tiny(family);
    shape.ffn = 288;  // no multiple of a superblock: falls back
    Synthesize(shape, "F16", directory / "f16.gguf");
    for (const char* recipe : {"Q2_K", "Q4_K_M"}) {
      INFO(family);
      INFO(recipe);
      Synthesize(shape, recipe, directory / "synth.gguf");
      QuantizeFile(directory / "f16.gguf", directory / "quantized.gguf", quant::FindRecipe(recipe),
                   {});
      const auto synth = GgufFile::Open(directory / "synth.gguf");
      const auto quantized = GgufFile::Open(directory / "quantized.gguf");
      REQUIRE(synth->tensors().size() == quantized->tensors().size());
      for (size_t i = 0; i < synth->tensors().size(); ++i) {
        const GgufTensor& a = synth->tensors()[i];
        const GgufTensor& b = quantized->tensors()[i];
        INFO(b.name);
        CHECK(a.name == b.name);
        CHECK(a.format == b.format);
        CHECK(a.shape == b.shape);
        CHECK(a.offset - synth->tensors()[0].offset == b.offset - quantized->tensors()[0].offset);
      }
      CHECK(synth->Uint("general.file_type") == quantized->Uint("general.file_type"));
      CHECK(EffectiveBpw(*synth) == EffectiveBpw(*quantized));
    }
  }
}

TEST_CASE("synth: the report agrees with the file") {
  const TemporaryDirectory directory;
  const SynthShape shape = Tiny("llama-3.1-8b");
  uint64_t done = 0;
  uint64_t total = 0;
  SynthOptions options;
  options.progress = [&](uint64_t now, uint64_t all) {
    CHECK(now > done);
    done = now;
    total = all;
  };
  const SynthReport report =
      SynthesizeFile(shape, quant::FindRecipe("Q4_K_M"), directory / "m.gguf", options);
  const auto file = GgufFile::Open(directory / "m.gguf");
  CHECK(done == total);
  CHECK(report.file_bytes == file->file_bytes());
  CHECK(report.effective_bpw == doctest::Approx(EffectiveBpw(*file)));
  CHECK(report.parameters == Model::FromFile(file)->parameters() - shape.head_dim / 2);
}

TEST_CASE("synth: the same seed gives the same bytes, another seed others") {
  const TemporaryDirectory directory;
  const SynthShape shape = Tiny("qwen2.5-0.5b");
  const auto make = [&](uint64_t seed) {
    Synthesize(shape, "Q4_K_M", directory / "m.gguf", seed);
    return ReadFile(directory / "m.gguf");
  };
  const std::string first = make(7);
  CHECK((first == make(7)));
  CHECK_FALSE((first == make(8)));
}

TEST_CASE("synth: a layer's weights do not depend on the number of layers") {
  const TemporaryDirectory directory;
  SynthShape shape = Tiny("qwen2.5-0.5b");
  Synthesize(shape, "Q8_0", directory / "nine.gguf");
  shape.layers = 1;
  Synthesize(shape, "Q8_0", directory / "one.gguf");
  const auto nine = GgufFile::Open(directory / "nine.gguf");
  const auto one = GgufFile::Open(directory / "one.gguf");
  CHECK(one->FindTensor("blk.1.attn_q.weight") == nullptr);
  for (const GgufTensor& tensor : one->tensors()) {
    INFO(tensor.name);
    const GgufTensor* other = nine->FindTensor(tensor.name);
    REQUIRE(other != nullptr);
    CHECK(std::ranges::equal(tensor.data, other->data));
  }
}

// Mean 0 and deviation 1/√(row length), in every format; two tensors of one shape differ.
TEST_CASE("synth: weights of every format decode to the distribution asked for") {
  for (const quant::FormatInfo& format : quant::Formats()) {
    INFO(format.name);
    SynthWeights weights(1);
    std::vector<std::vector<std::byte>> tensors(2);
    constexpr uint64_t kColumns = 1024;
    constexpr uint64_t kRows = 3000;  // more than one piece of F32
    for (size_t t = 0; t < tensors.size(); ++t) {
      const SynthTensor tensor{
          fmt::format("t{}", t), {kColumns, kRows}, 0, 1 / std::sqrt(double{kColumns}), {}};
      weights.Make(tensor, format.format, [&](std::span<const std::byte> bytes) {
        tensors[t].insert(tensors[t].end(), bytes.begin(), bytes.end());
      });
    }
    CHECK_FALSE((tensors[0] == tensors[1]));
    REQUIRE(tensors[0].size() == kRows * format.row_bytes(kColumns));
    std::vector<float> decoded(kColumns * kRows);
    format.decode(tensors[0].data(), decoded.size(), decoded.data());
    double sum = 0;
    double squares = 0;
    for (const float w : decoded) {
      sum += w;
      squares += double{w} * w;
    }
    const auto n = static_cast<double>(decoded.size());
    CHECK(std::abs(sum / n) * std::sqrt(double{kColumns}) < 0.02);
    // Two bits lose an eighth of the variance.
    CHECK(squares / n * kColumns ==
          doctest::Approx(1).epsilon(format.block_bytes < 100 ? 0.2 : 0.1));
  }
}

TEST_CASE("synth: the engine runs each shape, and the logits are finite and spread") {
  const TemporaryDirectory directory;
  for (const SynthShape& real : SynthShapes()) {
    INFO(real.name);
    const SynthShape shape = Tiny(real.name);
    Synthesize(shape, "Q4_K_M", directory / "m.gguf");
    const auto model = Model::Load(directory / "m.gguf");
    const ModelConfig& config = model->config();
    CHECK(config.layers == shape.layers);
    CHECK(config.vocab == shape.vocabulary);
    CHECK(config.ropes[0].base == doctest::Approx(shape.rope_base));
    CHECK(config.norm_eps == doctest::Approx(shape.norm_eps));
    CHECK(model->weights().ropes[0].divisors.empty() == (shape.rope_stretch == 1));

    EngineOptions options;
    options.kv_capacity = 64;
    Engine engine(model, options);
    const std::vector<TokenId> ids{1, 300, 900, 77, 1499, 5, 5, 640};
    const SequenceId sequence = engine.CreateSequence();
    const Chunk chunk{sequence, ids, 0};
    const Logits logits = engine.Forward({&chunk, 1});
    double squares = 0;
    for (size_t i = 0; i < logits.rows * logits.vocab; ++i) {
      REQUIRE(std::isfinite(logits.data[i]));
      squares += double{logits.data[i]} * logits.data[i];
    }
    // x of size 1 times rows of length 1 (Gemma's scaled embeddings are of that size too).
    const double rms = std::sqrt(squares / static_cast<double>(logits.rows * logits.vocab));
    CHECK(rms == doctest::Approx(1).epsilon(0.3));
  }
}

TEST_CASE("synth: llama.cpp's names for what sets a family apart") {
  const TemporaryDirectory directory;
  Synthesize(Tiny("gemma-2-9b"), "Q4_0", directory / "gemma.gguf");
  const auto gemma = GgufFile::Open(directory / "gemma.gguf");
  CHECK(gemma->FindFloat("gemma2.attn_logit_softcapping") == 50.0);
  CHECK(gemma->FindFloat("gemma2.final_logit_softcapping") == 30.0);
  CHECK(gemma->FindUint("gemma2.attention.sliding_window") == 4096);
  CHECK(gemma->FindTensor("blk.0.post_attention_norm.weight") != nullptr);
  CHECK(gemma->FindTensor("blk.8.post_ffw_norm.weight") != nullptr);
  CHECK(gemma->FindTensor("output.weight") == nullptr);

  Synthesize(Tiny("phi-4"), "Q4_0", directory / "phi.gguf");
  const auto phi = GgufFile::Open(directory / "phi.gguf");
  REQUIRE(phi->FindTensor("blk.0.attn_qkv.weight") != nullptr);
  CHECK(phi->FindTensor("blk.0.attn_qkv.weight")->shape == std::vector<uint64_t>{256, 512});
  CHECK(phi->FindTensor("blk.0.ffn_up.weight")->shape == std::vector<uint64_t>{256, 1024});
  CHECK(phi->FindTensor("blk.0.ffn_gate.weight") == nullptr);
  CHECK(phi->FindTensor("output.weight") != nullptr);
}

TEST_CASE("synth: the vocabulary encodes any text and decodes back to it") {
  const TemporaryDirectory directory;
  for (const char* family : {"qwen2.5-0.5b", "llama-3.2-1b", "phi-4", "gemma-2-2b"}) {
    INFO(family);
    SynthShape shape = FindSynthShape(family);
    const uint32_t vocabulary = shape.vocabulary;
    shape = Tiny(family);
    shape.layers = 1;
    shape.vocabulary = vocabulary;
    Synthesize(shape, "Q4_0", directory / "m.gguf");
    const auto tokenizer = LoadTokenizer(*GgufFile::Open(directory / "m.gguf"));
    CHECK(tokenizer->size() == vocabulary);
    CHECK(tokenizer->adds_bos() == shape.family->adds_bos);
    const std::string text = "the Quick brown fox, 42 jumps — über\n\tden\xFF Hund";
    const auto ids = tokenizer->Encode(text);
    CHECK(tokenizer->Decode(ids) == text);
    CHECK(ids.size() < text.size());  // words are merged
    CHECK(tokenizer->IsEndOfGeneration(static_cast<TokenId>(vocabulary - 1)));
  }
}

TEST_CASE("synth: an unknown shape is told the known ones") {
  std::string message;
  try {
    FindSynthShape("qwen3-0.6b");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    message = error.what();
  }
  for (const SynthShape& shape : SynthShapes()) {
    CHECK(message.find(shape.name) != std::string::npos);
  }
}

TEST_CASE("synth: a failure leaves nothing behind") {
  const TemporaryDirectory directory;
  SynthOptions options;
  options.progress = [](uint64_t, uint64_t) {
    throw Error(ErrorCode::kInterrupted, "as if by Ctrl-C");
  };
  CHECK_THROWS_AS(
      SynthesizeFile(Tiny("phi-4"), quant::FindRecipe("Q4_0"), directory / "m.gguf", options),
      Error);
  CHECK(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace crossover::engine

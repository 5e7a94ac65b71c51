#include "engine/calibrate/measure_importance.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/calibrate/layer_runner.h"
#include "engine/quantize/importance.h"
#include "engine/run/sequence.h"
#include "quant/format.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

CalibrationChunks Chunks(const Model& model, size_t length, size_t count) {
  CalibrationChunks chunks{{}, length, count, std::nullopt};
  for (size_t i = 0; i < length * count; ++i) {
    chunks.tokens.push_back(static_cast<TokenId>((i * i * 7 + 3 * i) % model.config().vocab));
  }
  return chunks;
}

EngineOptions Options(size_t threads,
                      kernels::Activations activations = kernels::Activations::kF32) {
  return {.threads = threads,
          .activations = activations,
          .kv_format = quant::FindFormat("F32")->format,
          .kv_capacity = 256,
          .max_batch = 24};
}

MeasuredImportance Measure(const std::shared_ptr<const Model>& model,
                           const CalibrationChunks& chunks, size_t threads,
                           const ImportanceOptions& options = {}) {
  Engine engine(model, Options(threads));
  return MeasureImportance(engine, *model, chunks, options);
}

const ImportanceEntry& Find(const MeasuredImportance& importance, const std::string& name) {
  for (const ImportanceEntry& entry : importance.entries) {
    if (entry.tensor == name) return entry;
  }
  FAIL("no entry " << name);
  return importance.entries.front();
}

/// Σ x² of the columns over a probe's rows.
void AddSquares(std::span<const float> rows, std::vector<double>& sums) {
  for (size_t i = 0; i < rows.size(); ++i) sums[i % sums.size()] += double{rows[i]} * rows[i];
}

/// The inputs again, from what the steps between the products leave.
struct Definition {
  explicit Definition(const Model& model) : model(model) {}

  const Model& model;
  std::vector<float> x, gate;
  std::map<std::string, std::vector<double>> sums;

  void Add(const std::string& name, std::span<const float> rows, size_t columns) {
    sums[name].resize(columns);
    AddSquares(rows, sums[name]);
  }

  std::vector<float> Normed(std::span<const float> weight) const {
    const size_t dim = weight.size();
    std::vector<float> out(x.size());
    for (size_t t = 0; t < x.size(); t += dim) {
      double squares = 0;
      for (size_t c = 0; c < dim; ++c) squares += double{x[t + c]} * x[t + c];
      const double scale =
          1 / std::sqrt(squares / static_cast<double>(dim) + double{model.config().norm_eps});
      for (size_t c = 0; c < dim; ++c) {
        out[t + c] = static_cast<float>(x[t + c] * scale * weight[c]);
      }
    }
    return out;
  }

  void Look(Step step, size_t layer, std::span<const float> values) {
    const ModelConfig& config = model.config();
    const std::string block = "blk." + std::to_string(layer) + ".";
    const LayerWeights& weights = model.weights().layers[std::min(layer, config.layers - 1)];
    const auto keep = [&] { x.assign(values.begin(), values.end()); };
    switch (step) {
      case Step::kEmbedding:
      case Step::kDown:
        keep();
        if (const size_t next = step == Step::kDown ? layer + 1 : 0; next < config.layers) {
          const std::string name = "blk." + std::to_string(next) + ".attn_";
          const auto normed = Normed(model.weights().layers[next].attention_norm.weight);
          for (const char* role : {"q.weight", "k.weight", "v.weight"}) {
            Add(name + role, normed, config.dim);
          }
        }
        break;
      case Step::kAttention:
        Add(block + "attn_output.weight", values, config.heads * config.head_dim);
        break;
      case Step::kAttentionOutput: {
        keep();
        const auto normed = Normed(weights.ffn_norm.weight);
        Add(block + "ffn_gate.weight", normed, config.dim);
        Add(block + "ffn_up.weight", normed, config.dim);
        break;
      }
      case Step::kGate:
        gate.assign(values.begin(), values.end());
        break;
      case Step::kUp: {
        std::vector<float> product(values.size());
        for (size_t i = 0; i < values.size(); ++i) {
          product[i] = static_cast<float>(gate[i] / (1 + std::exp(-double{gate[i]})) * values[i]);
        }
        Add(block + "ffn_down.weight", product, config.ffn_dim);
        break;
      }
      default:
        break;
    }
  }
};

TEST_CASE("imatrix: sums are those of the inputs, made again from what the steps leave") {
  const auto model = Model::Load(test::SourceRoot() / "models/reference-s.gguf");
  const CalibrationChunks chunks = Chunks(*model, 40, 3);
  const MeasuredImportance measured = Measure(model, chunks, 2);
  Definition definition(*model);
  Engine engine(model, Options(1));
  for (size_t i = 0; i < chunks.count; ++i) {
    const ScopedSequence sequence(engine);
    const auto tokens = chunks.Chunk(i);
    const Probe probe = [&](Step step, size_t layer, std::span<const float> values) {
      definition.Look(step, layer, values);
    };
    for (size_t at = 0; at < tokens.size(); at += 20) {
      const Chunk chunk{sequence.id(), std::span(tokens).subspan(at, 20), 20};
      engine.Forward({&chunk, 1}, {.probe = &probe});
    }
  }
  REQUIRE(measured.entries.size() == definition.sums.size());
  CHECK(measured.entries.size() == 7 * model->config().layers);
  for (const auto& [name, sums] : definition.sums) {
    CAPTURE(name);
    const ImportanceEntry& entry = Find(measured, name);
    CHECK(entry.counts == std::vector<double>{120});
    REQUIRE(entry.squares.size() == sums.size());
    const double mean =
        std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(sums.size());
    for (size_t c = 0; c < sums.size(); ++c) {
      REQUIRE(std::abs(entry.squares[c] - sums[c]) <= 1e-4 * sums[c] + 1e-6 * mean);
    }
  }
}

TEST_CASE("imatrix: a tap changes no logit") {
  const auto model = Model::Load(test::EmbeddedXs());
  const auto run = [&](const ProductTap* tap) {
    Engine engine(model, Options(2));
    const ScopedSequence sequence(engine);
    const auto tokens = Chunks(*model, 20, 1).tokens;
    const Chunk chunk{sequence.id(), tokens, 0};
    const Logits logits = engine.Forward({&chunk, 1}, {.tap = tap});
    return std::vector<float>(logits.data, logits.data + logits.rows * logits.vocab);
  };
  const ProductTap tap = [](const kernels::Worker&, const ProductInput&) {};
  CHECK(run(nullptr) == run(&tap));
}

TEST_CASE("imatrix: a run that was killed goes on to the same sums, with any number of threads") {
  const auto model = Model::Load(test::EmbeddedXs());
  const CalibrationChunks chunks = Chunks(*model, 24, 6);
  const MeasuredImportance whole = Measure(model, chunks, 1);
  const test::TemporaryDirectory directory;
  ImportanceOptions options{.checkpoint = directory / "progress", .checkpoint_seconds = 0};
  options.progress = [](size_t done, size_t) {
    if (done == 4) throw Error(ErrorCode::kInterrupted, "killed");
  };
  CHECK_THROWS_AS(Measure(model, chunks, 2, options), Error);
  options.progress = {};
  const MeasuredImportance resumed = Measure(model, chunks, 2, options);
  CHECK(resumed.resumed == 3);  // of the fourth nothing was kept
  for (size_t i = 0; i < whole.entries.size(); ++i) {
    CHECK(resumed.entries[i].squares == whole.entries[i].squares);
    CHECK(resumed.entries[i].counts == whole.entries[i].counts);
  }
  // Another text's sums are not added to.
  CalibrationChunks other = chunks;
  other.tokens[0] += 1;
  CHECK(Measure(model, other, 1, options).resumed == 0);
  // Nor are damaged ones.
  std::string bytes = ReadFile(options.checkpoint);
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(options.checkpoint, bytes);
  CHECK(Measure(model, chunks, 1, options).resumed == 0);
}

TEST_CASE("imatrix: the file is read back as means, and what no token reached is told") {
  const auto model = Model::Load(test::EmbeddedXs());
  MeasuredImportance measured = Measure(model, Chunks(*model, 24, 2), 1, {.output = true});
  CHECK(Find(measured, "token_embd.weight").squares.size() == model->config().dim);
  CHECK(measured.Unseen().empty());
  measured.entries[1].squares[3] = 0;
  CHECK(test::Contains(measured.Unseen(), "1 of the"));
  CHECK(test::Contains(measured.Unseen(), measured.entries[1].tensor));
  const test::TemporaryDirectory directory;
  WriteImportance(directory / "i.gguf", measured, "some text");
  const Importance read = Importance::Load(directory / "i.gguf");
  CHECK(read.dataset() == "some text");
  CHECK(read.chunks() == 2);
  CHECK(read.entries() == measured.entries.size());
  for (const ImportanceEntry& entry : measured.entries) {
    const auto means = read.Find(entry.tensor);
    REQUIRE(means.size() == entry.squares.size());
    for (size_t c = 0; c < means.size(); ++c) {
      REQUIRE(means[c] == doctest::Approx(entry.squares[c] / 48.0));
    }
  }
}

TEST_CASE("imatrix: of experts each is measured apart, over the tokens that chose it") {
  const auto model = Model::Load(test::SourceRoot() / "tests/data/tiny-qwen3moe.gguf");
  const MeasuredImportance measured = Measure(model, Chunks(*model, 20, 3), 2);
  const auto& config = model->config();
  for (const char* role : {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"}) {
    const ImportanceEntry& entry = Find(measured, std::string("blk.0.") + role + ".weight");
    CAPTURE(role);
    REQUIRE(entry.counts.size() == config.experts.count);
    const double rows = std::accumulate(entry.counts.begin(), entry.counts.end(), 0.0);
    CHECK(rows == 60.0 * static_cast<double>(config.experts.used));
    const size_t columns = entry.squares.size() / entry.counts.size();
    CHECK(columns == (std::string(role) == "ffn_down_exps" ? config.ffn_dim : config.dim));
    for (size_t e = 0; e < entry.counts.size(); ++e) {
      const double sum =
          std::accumulate(entry.squares.begin() + static_cast<ptrdiff_t>(e * columns),
                          entry.squares.begin() + static_cast<ptrdiff_t>((e + 1) * columns), 0.0);
      CHECK((sum > 0) == (entry.counts[e] > 0));
    }
  }
  CHECK(Find(measured, "blk.0.ffn_gate_inp.weight").counts == std::vector<double>{60});
  const test::TemporaryDirectory directory;
  WriteImportance(directory / "i.gguf", measured, "");
  CHECK(Importance::Load(directory / "i.gguf").Find("blk.0.ffn_up_exps.weight").size() ==
        config.experts.count * config.dim);
}

TEST_CASE("layers: run one by one they leave what a whole pass leaves") {
  const auto model = Model::Load(test::SourceRoot() / "models/reference-s.gguf");
  const CalibrationChunks chunks = Chunks(*model, 20, 3);
  LayerRunner runner(*model, chunks, 2, kernels::Activations::kF32);
  std::vector<float> x = runner.Embed();
  for (size_t layer = 0; layer < model->config().layers; ++layer) {
    const std::vector<float> before = x;
    runner.Run(Block::kAttention, layer, x, /*keep=*/false, nullptr);
    CHECK(x == before);
    runner.Run(Block::kAttention, layer, x, /*keep=*/true, nullptr);
    runner.Run(Block::kFeedForward, layer, x, /*keep=*/true, nullptr);
  }
  Engine engine(model, Options(1));
  for (size_t i = 0; i < chunks.count; ++i) {
    const ScopedSequence sequence(engine);
    const auto tokens = chunks.Chunk(i);
    std::vector<float> last;
    const Probe probe = [&](Step step, size_t, std::span<const float> values) {
      if (step == Step::kDown) last.assign(values.begin(), values.end());
    };
    const Chunk chunk{sequence.id(), tokens, tokens.size()};
    engine.Forward({&chunk, 1}, {.probe = &probe});
    const auto own = std::span(x).subspan(i * last.size(), last.size());
    CHECK(std::equal(own.begin(), own.end(), last.begin()));
  }
}

}  // namespace
}  // namespace crossover::engine

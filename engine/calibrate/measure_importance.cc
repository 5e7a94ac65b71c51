#include "engine/calibrate/measure_importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "base/content_identity.h"
#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/name_some.h"
#include "engine/calibrate/product_tensors.h"
#include "engine/calibrate/sums_checkpoint.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/gguf_writer.h"
#include "engine/run/sequence.h"
#include "quant/f32/f32.h"

namespace crossover::engine {
namespace {

using Clock = std::chrono::steady_clock;

/// Σ x² and the number of rows, of one product: [experts][cols] and [experts].
struct ProductSums {
  std::vector<double>& squares;
  std::vector<double>& counts;
};

/// A place for each product, and the output's behind them all; two of the checkpoint's sums each.
ProductSums SumsOf(SumsCheckpoint& state, Product product, size_t layer, size_t layers) {
  const size_t place = product == Product::kOutput
                           ? layers * kLayerProducts
                           : layer * kLayerProducts + static_cast<size_t>(product);
  return {state.sums[2 * place], state.sums[2 * place + 1]};
}

void AddSquares(const kernels::Worker& worker, const ProductInput& input, const ProductSums& sums) {
  const kernels::Range own = worker.Split(input.cols, 16);
  double* squares = sums.squares.data() + input.place.expert * input.cols;
  for (size_t t = 0; t < input.tokens; ++t) {
    const float* row = &input.rows[t * input.cols];
    for (size_t c = own.begin; c < own.end; ++c) {
      squares[c] += static_cast<double>(row[c]) * static_cast<double>(row[c]);
    }
  }
  if (worker.rank == 0) sums.counts[input.place.expert] += static_cast<double>(input.tokens);
}

void RunChunk(Engine& engine, std::span<const TokenId> tokens, bool logits, const ProductTap& tap) {
  const ScopedSequence sequence(engine);
  while (!tokens.empty()) {
    const auto piece = tokens.first(std::min(tokens.size(), engine.options().max_batch));
    const Chunk chunk{sequence.id(), piece, logits ? 0 : piece.size()};
    engine.Forward({&chunk, 1}, {.tap = &tap});
    tokens = tokens.subspan(piece.size());
  }
}

/// What the sums are of: any byte that changes them changes it.
std::string IdentityOf(const Engine& engine, const CalibrationChunks& chunks, bool output) {
  std::map<std::string, std::string> parts;
  for (const GgufTensor& tensor : engine.model().file().tensors()) {
    std::string& part = parts[tensor.file->path()];
    if (part.empty()) part = ContentIdentity(tensor.file->bytes());
  }
  std::string identity = fmt::format("{} {} {}", chunks.Identity(), output,
                                     static_cast<int>(engine.options().activations));
  for (const auto& [path, content] : parts) identity += " " + content;
  return identity;
}

void CheckFinite(const MeasuredImportance& importance) {
  for (const ImportanceEntry& entry : importance.entries) {
    if (std::ranges::all_of(entry.squares, [](double v) { return std::isfinite(v); })) continue;
    throw Error(ErrorCode::kNonFinite,
                fmt::format("the inputs of {} are no finite numbers; the model is broken, or "
                            "cannot read this text",
                            Quoted(entry.tensor)));
  }
}

MeasuredImportance Collect(const Model& mapped, SumsCheckpoint& state, bool output) {
  MeasuredImportance result;
  const size_t layers = mapped.config().layers;
  const ProductTensors tensors(mapped);
  const auto add = [&](Product product, size_t layer) {
    for (const GgufTensor* tensor : tensors.Of(product, layer)) {
      const ProductSums sums = SumsOf(state, product, layer, layers);
      result.entries.push_back({tensor->name, sums.squares, sums.counts});
    }
  };
  for (size_t layer = 0; layer < layers; ++layer) {
    for (size_t p = 0; p < kLayerProducts; ++p) add(static_cast<Product>(p), layer);
  }
  if (output) add(Product::kOutput, 0);
  std::ranges::sort(result.entries, {}, &ImportanceEntry::tensor);
  return result;
}

/// Zeros of the products' widths, in SumsOf's places.
std::vector<std::vector<double>> EmptySums(const Model& model, bool output) {
  const ModelConfig& config = model.config();
  std::vector<std::vector<double>> sums;
  const auto add = [&](size_t width, size_t experts) {
    sums.emplace_back(width * experts);
    sums.emplace_back(experts);
  };
  for (const LayerWeights& layer : model.weights().layers) {
    const size_t experts = std::max<size_t>(layer.experts.size(), 1);
    add(config.dim, 1);
    add(layer.attention_out.cols, 1);
    add(layer.experts.empty() ? 0 : config.dim, 1);
    add(config.dim, experts);
    add(config.ffn_dim, experts);
  }
  add(output ? config.dim : 0, 1);
  return sums;
}

}  // namespace

std::string MeasuredImportance::Unseen() const {
  std::vector<std::string> names;
  uint64_t unseen = 0;
  uint64_t columns = 0;
  for (const ImportanceEntry& entry : entries) {
    const auto zeros = static_cast<uint64_t>(std::ranges::count(entry.squares, 0.0));
    if (zeros == 0) continue;
    names.push_back(entry.tensor);
    unseen += zeros;
    columns += entry.squares.size();
  }
  if (names.empty()) return "";
  return fmt::format(
      "no token reached {} of the {} columns of {} ({}); quantising gives them a "
      "share of what the others have",
      unseen, columns, Counted(names.size(), "tensor"), NameSome(names));
}

MeasuredImportance MeasureImportance(Engine& engine, const Model& mapped,
                                     const CalibrationChunks& chunks,
                                     const ImportanceOptions& options) {
  const size_t layers = mapped.config().layers;
  SumsCheckpoint state;
  state.sums = EmptySums(mapped, options.output);
  const bool keep = !options.checkpoint.empty();
  if (keep) state.identity = IdentityOf(engine, chunks, options.output);
  if (keep) LoadCheckpoint(options.checkpoint, chunks.count, state);
  const size_t resumed = state.chunks;

  const ProductTap tap = [&](const kernels::Worker& worker, const ProductInput& input) {
    const auto [product, layer, expert] = input.place;
    if (product == Product::kOutput && !options.output) return;
    AddSquares(worker, input, SumsOf(state, product, layer, layers));
  };
  auto saved = Clock::now();
  for (; state.chunks < chunks.count; ++state.chunks) {
    ThrowIfInterrupted();
    if (options.progress) options.progress(state.chunks, chunks.count);
    if (keep && Clock::now() - saved >= std::chrono::duration<double>(options.checkpoint_seconds)) {
      SaveCheckpoint(options.checkpoint, state);
      saved = Clock::now();
    }
    RunChunk(engine, chunks.Chunk(state.chunks), options.output, tap);
  }
  if (options.progress) options.progress(chunks.count, chunks.count);

  MeasuredImportance result = Collect(mapped, state, options.output);
  result.chunks = state.chunks;
  result.chunk_length = chunks.length;
  result.resumed = resumed;
  CheckFinite(result);
  return result;
}

void WriteImportance(const std::filesystem::path& path, const MeasuredImportance& importance,
                     const std::string& dataset) {
  const auto number = [](uint64_t value) { return GgufValue{GgufType::kU32, {}, value}; };
  const std::vector<std::pair<std::string, GgufValue>> metadata = {
      {"general.type", {GgufType::kString, {}, std::string("imatrix")}},
      {"imatrix.datasets",
       {GgufType::kArray, GgufType::kString, std::vector<std::string>{dataset}}},
      {"imatrix.chunk_count", number(importance.chunks)},
      {"imatrix.chunk_size", number(importance.chunk_length)}};
  std::vector<GgufTensorInfo> infos;
  for (const ImportanceEntry& entry : importance.entries) {
    const uint64_t experts = entry.counts.size();
    infos.push_back({entry.tensor + ".in_sum2",
                     quant::F32::kFormat,
                     {entry.squares.size() / experts, experts}});
    infos.push_back({entry.tensor + ".counts", quant::F32::kFormat, {1, experts}});
  }
  GgufWriter writer(path, metadata, infos);
  for (const ImportanceEntry& entry : importance.entries) {
    const std::vector<float> sums(entry.squares.begin(), entry.squares.end());
    writer.Append(std::as_bytes(std::span(sums)));
    const std::vector<float> counts(entry.counts.begin(), entry.counts.end());
    writer.Append(std::as_bytes(std::span(counts)));
  }
  writer.Commit();
}

}  // namespace crossover::engine

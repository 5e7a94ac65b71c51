#include "engine/calibrate/layer_runner.h"

#include <algorithm>

#include "base/interrupt.h"
#include "quant/f32/f32.h"

namespace crossover::engine {
namespace {

constexpr size_t kBatchTokens = 2048;
constexpr size_t kPageTokens = 16;

size_t PagedLength(size_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens * kPageTokens; }

kernels::KvLayout LayoutOf(const ModelConfig& config) {
  return {.format = quant::F32::kFormat,
          .layers = config.layers,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .page_tokens = kPageTokens};
}

}  // namespace

LayerRunner::LayerRunner(const Model& model, const CalibrationChunks& chunks, size_t threads,
                         kernels::Activations activations)
    : model_(model),
      chunks_(chunks),
      activations_(activations),
      weights_(model.weights()),
      team_(threads),
      together_(std::clamp<size_t>(kBatchTokens / chunks.length, 1, chunks.count)),
      activity_(model.config(), together_ * chunks.length),
      kv_(LayoutOf(model.config()), together_ * PagedLength(chunks.length)) {
  for (size_t i = 0; i < together_; ++i) {
    sequences_.push_back(kv_.Create());
    const std::vector<tokenizer::TokenId> tokens = chunks.Chunk(i);
    const KvCache::Extension extension{sequences_.back(), tokens};
    // The cache was made for them.
    static_cast<void>(kv_.Append({&extension, 1}));
  }
}

std::vector<float> LayerRunner::Embed() {
  std::vector<float> x(chunks_.count * chunks_.length * model_.config().dim);
  Run(Block::kEmbedding, 0, x, /*keep=*/true, nullptr);
  return x;
}

void LayerRunner::Run(Block block, size_t layer, std::vector<float>& x, bool keep,
                      const ProductTap* tap) {
  const size_t width = chunks_.length * model_.config().dim;
  for (size_t first = 0; first < chunks_.count; first += together_) {
    ThrowIfInterrupted();
    const size_t count = std::min(together_, chunks_.count - first);
    std::copy_n(&x[first * width], count * width, activity_.x.begin());
    RunBatch(Batch(first, count), block, layer, tap);
    if (keep) std::copy_n(activity_.x.begin(), count * width, &x[first * width]);
  }
}

void LayerRunner::Logits(
    const std::vector<float>& x, size_t step,
    const std::function<void(size_t row, std::span<const float> logits)>& take) {
  const size_t width = chunks_.length * model_.config().dim;
  const size_t vocab = model_.config().vocab;
  size_t row = 0;
  // One chunk at a time: rows of logits are wide.
  for (size_t i = 0; i < chunks_.count; ++i) {
    ThrowIfInterrupted();
    std::copy_n(&x[i * width], width, activity_.x.begin());
    FlatBatch batch = Batch(i, 1);
    for (size_t t = 0; t < chunks_.length; t += step) batch.logit_rows.push_back(t);
    activity_.logits.resize(batch.logit_rows.size() * vocab);
    RunBatch(batch, Block::kOutput, 0, nullptr);
    for (size_t r = 0; r < batch.logit_rows.size(); ++r) {
      take(row++, std::span(activity_.logits).subspan(r * vocab, vocab));
    }
  }
}

FlatBatch LayerRunner::Batch(size_t first, size_t count) const {
  FlatBatch batch;
  for (size_t i = 0; i < count; ++i) {
    batch.spans.push_back(
        {kv_.block_table(sequences_[i]).data(), batch.tokens.size(), chunks_.length, 0});
    const std::vector<tokenizer::TokenId> tokens = chunks_.Chunk(first + i);
    for (size_t t = 0; t < tokens.size(); ++t) {
      batch.tokens.push_back(tokens[t]);
      batch.positions.push_back(t);
    }
  }
  return batch;
}

void LayerRunner::RunBatch(const FlatBatch& batch, Block block, size_t layer,
                           const ProductTap* tap) {
  RunBlock(team_, model_.config(), weights_, activations_, batch,
           {&kv_.layout(), kv_.pool(), chunks_.length}, activity_, block, layer, tap);
}

}  // namespace crossover::engine

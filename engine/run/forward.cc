#include "engine/run/forward.h"

#include <algorithm>
#include <array>
#include <new>

#include "engine/run/pass.h"
#include "kernels/matrix_row.h"
#include "kernels/rows.h"

namespace crossover::engine {
namespace {

using kernels::Range;
using kernels::Worker;

void FillAngles(const Pass& pass, size_t t) {
  for (size_t r = 0; r < pass.weights.ropes.size(); ++r) {
    const RopeWeights& rope = pass.weights.ropes[r];
    const std::span<const float> divisors = rope.DivisorsFor(pass.kv->context);
    kernels::RopeTable(pass.batch.positions[t], pass.config.rotary_dim, rope.base,
                       DataOrNull(divisors), rope.magnitude, pass.Angles(r, t));
  }
}

// x[t] = c · E[token_t] (+ P[position_t]), and the angles of every position.
void Embed(const Pass& pass) {
  const ModelConfig& config = pass.config;
  const Weights& weights = pass.weights;
  const Range rows = pass.worker.Split(pass.tokens());
  for (size_t t = rows.begin; t < rows.end; ++t) {
    const auto token = static_cast<size_t>(pass.batch.tokens[t]);
    const size_t position = pass.batch.positions[t];
    float* x = &pass.a.x[t * config.dim];
    kernels::DecodeMatrixRow(weights.embedding, token, x);
    if (config.embedding_scale != 1) kernels::Scale(config.embedding_scale, config.dim, x);
    if (weights.positions.data != nullptr) {
      float* learned = &pass.a.normed[t * config.dim];
      kernels::DecodeMatrixRow(weights.positions, position, learned);
      kernels::Add(learned, config.dim, x);
    }
    FillAngles(pass, t);
  }
  pass.worker.Sync();
}

// logits[i] = cap(s · W_out · norm(x[row_i])), for the rows that are wanted.
void Output(const Pass& pass) {
  const ModelConfig& config = pass.config;
  const Weights& weights = pass.weights;
  Activity& a = pass.a;
  const size_t wanted = pass.batch.logit_rows.size();
  if (wanted == 0) return;
  const Range rows = pass.worker.Split(wanted);
  for (size_t i = rows.begin; i < rows.end; ++i) {
    kernels::Normalize(pass.NormOf(weights.output_norm),
                       &a.x[pass.batch.logit_rows[i] * config.dim], config.dim,
                       &a.normed[i * config.dim]);
  }
  pass.worker.Sync();
  pass.Tap({Product::kOutput}, a.normed, wanted, config.dim);
  a.input.Assign(pass.worker, a.normed.data(), wanted, config.dim, std::array{&weights.output},
                 pass.activations);
  kernels::MatMul(pass.worker, weights.output, a.input, a.logits.data(), config.vocab,
                  {.bias = DataOrNull(weights.output_bias)});
  const bool changed = config.logit_soft_cap != 0 || config.logit_scale != 1;
  if (changed && !pass.products_only()) {
    pass.worker.Sync();
    const Range logits = pass.worker.Split(wanted * config.vocab);
    float* mine = &a.logits[logits.begin];
    if (config.logit_scale != 1) kernels::Scale(config.logit_scale, logits.size(), mine);
    if (config.logit_soft_cap != 0) kernels::SoftCap(config.logit_soft_cap, logits.size(), mine);
  }
  pass.Look(Step::kLogits, 0, a.logits, wanted * config.vocab);
}

// One block after the other, x += attention(x), x += feed_forward(x), or both of the same x.
void Layer(const Pass& pass, size_t index) {
  const LayerWeights& layer = pass.weights.layers[index];
  const size_t size = pass.tokens() * pass.config.dim;
  const bool parallel = pass.config.parallel_blocks;
  if (parallel) FeedForwardHidden(pass, layer, index);  // of x as attention has not changed it yet
  AttentionBlock(pass, layer, index);
  pass.Look(Step::kAttentionOutput, index, pass.a.x, size);
  if (!layer.experts.empty()) {
    ExpertsBlock(pass, layer, index);
  } else {
    if (!parallel) FeedForwardHidden(pass, layer, index);
    FeedForwardOutput(pass, layer);
  }
  pass.Look(Step::kDown, index, pass.a.x, size);
}

// The second half of Layer, where it is one.
void FeedForwardBlock(const Pass& pass, size_t index) {
  const LayerWeights& layer = pass.weights.layers[index];
  if (!layer.experts.empty()) return ExpertsBlock(pass, layer, index);
  FeedForwardHidden(pass, layer, index);
  FeedForwardOutput(pass, layer);
}

void RunOne(const Pass& pass, Block block, size_t layer) {
  if (block == Block::kEmbedding) return Embed(pass);
  const Range rows = pass.worker.Split(pass.tokens());
  for (size_t t = rows.begin; t < rows.end; ++t) FillAngles(pass, t);
  pass.worker.Sync();
  switch (block) {
    case Block::kAttention:
      return AttentionBlock(pass, pass.weights.layers[layer], layer);
    case Block::kFeedForward:
      return FeedForwardBlock(pass, layer);
    case Block::kLayer:
      return Layer(pass, layer);
    default:
      return Output(pass);
  }
}

void Run(const Pass& pass) {
  if (!pass.products_only()) Embed(pass);
  pass.Look(Step::kEmbedding, 0, pass.a.x, pass.tokens() * pass.config.dim);
  for (size_t i = 0; i < pass.config.layers; ++i) Layer(pass, i);
  Output(pass);
}

}  // namespace

Activity::Activity(const ModelConfig& config, size_t max_rows) : max_tokens(max_rows) {
  const size_t q_size = max_rows * config.heads * config.head_dim;
  const size_t k_size = max_rows * config.kv_heads * config.head_dim;
  const struct {
    std::span<float>& floats;
    size_t size;
  } buffers[] = {{x, max_rows * config.dim},
                 {normed, max_rows * config.dim},
                 {q, q_size},
                 {k, k_size},
                 {v, k_size},
                 {attention, q_size},
                 {gate, max_rows * config.ffn_dim},
                 {up, max_rows * config.ffn_dim},
                 {rope, config.ropes.size() * max_rows * config.rotary_dim},
                 {router_scores, max_rows * config.experts.count},
                 {expert_values, config.experts.count == 0 ? 0 : max_rows * config.dim},
                 {expert_sum, config.experts.count == 0 ? 0 : max_rows * config.dim}};
  constexpr size_t kLine = 64 / sizeof(float);
  const auto padded = [](size_t size) { return (size + kLine - 1) / kLine * kLine; };
  for (const auto& buffer : buffers) memory_bytes_ += padded(buffer.size) * sizeof(float);
  memory_ = kernels::AllocateBytes(memory_bytes_);
  if (memory_ == nullptr) throw std::bad_alloc();
  auto* next = reinterpret_cast<float*>(memory_.get());
  for (const auto& buffer : buffers) {
    buffer.floats = {next, buffer.size};
    next += padded(buffer.size);
  }
  input.Reserve(max_rows, std::max(config.dim, config.heads * config.head_dim));
  ffn_input.Reserve(max_rows, config.ffn_dim);
  choices.resize(max_rows * config.experts.used);
  expert_rows.resize(choices.size());
  expert_begin.resize(config.experts.count + 1);
}

size_t Activity::bytes() const { return memory_bytes_ + logits.capacity() * sizeof(float); }

void RunForward(kernels::Team& team, const Model& model, kernels::Activations activations,
                const FlatBatch& batch, const KvTarget& kv, Activity& activity,
                const Observers& observers) {
  team.Run([&](const Worker& worker) {
    Run(Pass{worker, model.config(), model.weights(), activations, batch, &kv, activity,
             observers.probe, observers.tap});
  });
}

void RunBlock(kernels::Team& team, const ModelConfig& config, const Weights& weights,
              kernels::Activations activations, const FlatBatch& batch, const KvTarget& kv,
              Activity& activity, Block block, size_t layer, const ProductTap* tap) {
  team.Run([&](const Worker& worker) {
    RunOne(Pass{worker, config, weights, activations, batch, &kv, activity, nullptr, tap}, block,
           layer);
  });
}

void RunProducts(const Worker& worker, const ModelConfig& config, const Weights& weights,
                 kernels::Activations activations, const FlatBatch& batch, Activity& activity) {
  Run(Pass{worker, config, weights, activations, batch, nullptr, activity, nullptr, nullptr});
}

}  // namespace crossover::engine

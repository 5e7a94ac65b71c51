#include "engine/run/forward.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>

#include "kernels/matrix_row.h"
#include "kernels/rows.h"

namespace crossover::engine {
namespace {

using kernels::Matrix;
using kernels::Range;
using kernels::Worker;

/// The pass as one worker sees it.
class Pass {
 public:
  Pass(const Worker& worker, const ModelConfig& config, const Weights& weights,
       kernels::Activations activations, const FlatBatch& batch, const KvTarget* kv,
       Activity& activity, const Probe* probe)
      : worker_(worker),
        config_(config),
        weights_(weights),
        activations_(activations),
        batch_(batch),
        kv_(kv),
        a_(activity),
        tokens_(batch.tokens.size()),
        probe_(probe) {}

  void Run() {
    if (!products_only()) Embed();
    Look(Step::kEmbedding, 0, a_.x, tokens_ * config_.dim);
    for (size_t i = 0; i < config_.layers; ++i) {
      AttentionBlock(weights_.layers[i], i);
      Look(Step::kAttentionOutput, i, a_.x, tokens_ * config_.dim);
      FeedForwardBlock(weights_.layers[i], i);
      Look(Step::kDown, i, a_.x, tokens_ * config_.dim);
    }
    Output();
  }

 private:
  // Without K and V nothing that needs them runs, nor what else lies between the products.
  bool products_only() const { return kv_ == nullptr; }

  // x[t] = c · E[token_t], and the angles of every position.
  void Embed() {
    const Range rows = worker_.Split(tokens_);
    for (size_t t = rows.begin; t < rows.end; ++t) {
      const auto token = static_cast<size_t>(batch_.tokens[t]);
      float* x = &a_.x[t * config_.dim];
      kernels::DecodeMatrixRow(weights_.embedding, token, x);
      if (config_.embedding_scale != 1) kernels::Scale(config_.embedding_scale, config_.dim, x);
      for (size_t r = 0; r < weights_.ropes.size(); ++r) {
        const RopeWeights& rope = weights_.ropes[r];
        const std::span<const float> divisors = rope.DivisorsFor(kv_->context);
        kernels::RopeTable(batch_.positions[t], config_.rotary_dim, rope.base, DataOrNull(divisors),
                           rope.magnitude, Angles(r, t));
      }
    }
    worker_.Sync();
  }

  // x += W_o · softmax(cap(s · rope(q) · rope(K)ᵀ)) · V, with q, k, v = W · rms_norm(x) + b.
  void AttentionBlock(const LayerWeights& layer, size_t index) {
    AssignNormed(layer.attention_norm, std::array{&layer.q, &layer.k, &layer.v});
    const auto product = [](const Matrix& w, std::span<float> y, std::span<const float> bias) {
      return kernels::Projection{.w = &w, .y = y.data(), .bias = DataOrNull(bias)};
    };
    kernels::MatMulEach(
        worker_,
        std::array{product(layer.q, a_.q, layer.q_bias), product(layer.k, a_.k, layer.k_bias),
                   product(layer.v, a_.v, layer.v_bias)},
        a_.input);
    worker_.Sync();
    if (!products_only()) Attend(layer, index);
    Assign(a_.attention, config_.heads * config_.head_dim, std::array{&layer.attention_out});
    AddProjection(layer.attention_out, a_.input, layer.attention_out_bias,
                  layer.attention_post_norm);
  }

  // attention = softmax(cap(s · rope(q) · rope(K)ᵀ)) · V, from q, k, v as the products left them.
  void Attend(const LayerWeights& layer, size_t index) {
    const LayerConfig& kind = config_.layer[index];
    const size_t q_size = tokens_ * config_.heads * config_.head_dim;
    const size_t k_size = tokens_ * config_.kv_heads * config_.head_dim;
    Look(Step::kQuery, index, a_.q, q_size);
    Look(Step::kKey, index, a_.k, k_size);
    Look(Step::kValue, index, a_.v, k_size);
    NormAndRotate(a_.q, config_.heads, layer.q_norm, kind.rope);
    NormAndRotate(a_.k, config_.kv_heads, layer.k_norm, kind.rope);
    worker_.Sync();
    Look(Step::kRotation, index, a_.q, q_size);
    Look(Step::kRotation, index, a_.k, k_size);
    kernels::AttentionArgs args;
    args.layout = kv_->layout;
    args.pool = kv_->pool;
    args.layer = index;
    args.heads = config_.heads;
    args.scale = config_.attention_scale;
    args.soft_cap = config_.attention_soft_cap;
    args.window = kind.window;
    args.spans = batch_.spans;
    // Products that round their operands make attention's rounding no worse.
    args.bf16_tiles = activations_ != kernels::Activations::kF32;
    args.min_tile_rows = batch_.min_tile_rows;
    kernels::StoreKv(worker_, args, a_.k.data(), a_.v.data());
    worker_.Sync();
    kernels::Attention(worker_, args, a_.q.data(), a_.attention.data());
    worker_.Sync();
    Look(Step::kAttention, index, a_.attention, q_size);
  }

  // x += W_down · (f(W_gate · h) ⊙ W_up · h), h = rms_norm(x).
  void FeedForwardBlock(const LayerWeights& layer, size_t index) {
    AssignNormed(layer.ffn_norm, std::array{&layer.gate, &layer.up});
    if (probe_ != nullptr) LookAtGates(layer, index);
    kernels::MatMulGated(worker_, config_.gate, layer.gate, layer.up, a_.input, a_.gate.data(),
                         a_.up.data(), a_.ffn_input, layer.down);
    AddProjection(layer.down, a_.ffn_input, {}, layer.ffn_post_norm);
  }

  // logits[i] = W_out · rms_norm(x[row_i]), for the rows that are wanted.
  void Output() {
    const size_t wanted = batch_.logit_rows.size();
    if (wanted == 0) return;
    const Range rows = worker_.Split(wanted);
    for (size_t i = rows.begin; i < rows.end; ++i) {
      kernels::RmsNorm(&a_.x[batch_.logit_rows[i] * config_.dim], weights_.output_norm.data(),
                       config_.dim, config_.norm_eps, &a_.normed[i * config_.dim]);
    }
    worker_.Sync();
    a_.input.Assign(worker_, a_.normed.data(), wanted, config_.dim, std::array{&weights_.output},
                    activations_);
    kernels::MatMul(worker_, weights_.output, a_.input, a_.logits.data(), config_.vocab,
                    {.bias = DataOrNull(weights_.output_bias)});
    if (config_.logit_soft_cap != 0 && !products_only()) {
      worker_.Sync();
      const Range logits = worker_.Split(wanted * config_.vocab);
      kernels::SoftCap(config_.logit_soft_cap, logits.size(), &a_.logits[logits.begin]);
    }
    Look(Step::kLogits, 0, a_.logits, wanted * config_.vocab);
  }

  void Look(Step step, size_t layer, std::span<const float> values, size_t count) {
    if (probe_ == nullptr) return;
    worker_.Sync();
    if (worker_.rank == 0) (*probe_)(step, layer, values.first(count));
    worker_.Sync();
  }

  // Apart, for they never exist as floats where the tile units take them.
  void LookAtGates(const LayerWeights& layer, size_t index) {
    Project(layer.gate, a_.gate, {});
    Project(layer.up, a_.up, {});
    Look(Step::kGate, index, a_.gate, tokens_ * config_.ffn_dim);
    Look(Step::kUp, index, a_.up, tokens_ * config_.ffn_dim);
  }

  void AssignNormed(std::span<const float> weight, std::span<const Matrix* const> readers) {
    a_.input.AssignNormed(worker_, a_.x.data(), weight.data(), config_.norm_eps, a_.normed.data(),
                          tokens_, config_.dim, readers, activations_);
  }

  void Assign(std::span<const float> x, size_t cols, std::span<const Matrix* const> readers) {
    a_.input.Assign(worker_, x.data(), tokens_, cols, readers, activations_);
  }

  void Project(const Matrix& w, std::span<float> y, std::span<const float> bias) {
    kernels::MatMul(worker_, w, a_.input, y.data(), w.rows, {.bias = DataOrNull(bias)});
  }

  // x += y, or x += rms_norm(y), with y = W · input + b.
  void AddProjection(const Matrix& w, const kernels::MatMulInput& input,
                     std::span<const float> bias, std::span<const float> post_norm) {
    const bool normed = !post_norm.empty();
    kernels::MatMul(worker_, w, input, (normed ? a_.normed : a_.x).data(), config_.dim,
                    {.bias = DataOrNull(bias), .accumulate = !normed});
    worker_.Sync();
    if (!normed || products_only()) return;
    const Range rows = worker_.Split(tokens_);
    for (size_t t = rows.begin; t < rows.end; ++t) {
      float* y = &a_.normed[t * config_.dim];
      kernels::RmsNorm(y, post_norm.data(), config_.dim, config_.norm_eps, y);
      kernels::Add(y, config_.dim, &a_.x[t * config_.dim]);
    }
    worker_.Sync();
  }

  // Heads of all tokens are shared out, so that one token too is work for every thread.
  void NormAndRotate(std::span<float> x, size_t heads, std::span<const float> norm, size_t rope) {
    const Range all = worker_.Split(tokens_ * heads);
    for (size_t i = all.begin; i < all.end; ++i) {
      float* head = &x[i * config_.head_dim];
      if (!norm.empty()) {
        kernels::RmsNorm(head, norm.data(), config_.head_dim, config_.norm_eps, head);
      }
      kernels::Rope(head, 1, config_.head_dim, config_.rotary_dim, config_.rope_style,
                    Angles(rope, i / heads));
    }
  }

  float* Angles(size_t rope, size_t token) {
    return &a_.rope[(rope * a_.max_tokens + token) * config_.rotary_dim];
  }

  static const float* DataOrNull(std::span<const float> values) {
    return values.empty() ? nullptr : values.data();
  }

  const Worker& worker_;
  const ModelConfig& config_;
  const Weights& weights_;
  const kernels::Activations activations_;
  const FlatBatch& batch_;
  const KvTarget* const kv_;
  Activity& a_;
  const size_t tokens_;
  const Probe* const probe_;  // null but where somebody looks for a mistake
};

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
                 {rope, config.ropes.size() * max_rows * config.rotary_dim}};
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
}

size_t Activity::bytes() const { return memory_bytes_ + logits.capacity() * sizeof(float); }

void RunForward(kernels::Team& team, const Model& model, kernels::Activations activations,
                const FlatBatch& batch, const KvTarget& kv, Activity& activity,
                const Probe* probe) {
  team.Run([&](const Worker& worker) {
    Pass(worker, model.config(), model.weights(), activations, batch, &kv, activity, probe).Run();
  });
}

void RunProducts(const Worker& worker, const ModelConfig& config, const Weights& weights,
                 kernels::Activations activations, const FlatBatch& batch, Activity& activity) {
  Pass(worker, config, weights, activations, batch, nullptr, activity, nullptr).Run();
}

}  // namespace crossover::engine

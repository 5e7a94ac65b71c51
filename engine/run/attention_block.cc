#include <array>
#include <cmath>

#include "engine/run/pass.h"
#include "kernels/rows.h"

namespace crossover::engine {
namespace {

using kernels::Matrix;
using kernels::Range;

/// Of q or k: [tokens][heads][head_dim].
struct Heads {
  std::span<float> values;
  size_t count;
  std::span<const float> norm;
  bool queries;
};

/// What queries of a position are multiplied by.
float Temperature(const QueryTemperature& t, size_t position) {
  return static_cast<float>(1 + t.scale * std::log1p(static_cast<double>(position / t.length)));
}

void Norm(const Pass& pass, std::span<const float> weight, float* x) {
  kernels::RmsNorm(x, weight.data(), weight.size(), pass.config.norm_eps, x);
}

void Rotate(const Pass& pass, const Heads& heads, size_t rope, size_t i, float* head) {
  const ModelConfig& config = pass.config;
  const size_t token = i / heads.count;
  if (rope != kNoRope) {
    kernels::Rope(head, 1, config.head_dim, config.rotary_dim, config.rope_style,
                  pass.Angles(rope, token));
  }
  if (heads.queries && config.temperature.scale != 0) {
    kernels::Scale(Temperature(config.temperature, pass.batch.positions[token]), config.head_dim,
                   head);
  }
}

// Heads of all tokens are shared out, so that one token too is work for every thread; norms of a
// whole projection are a token's work.
void NormAndRotate(const Pass& pass, const Heads& heads, size_t rope) {
  const size_t head_dim = pass.config.head_dim;
  const bool whole = heads.norm.size() > head_dim;
  const size_t together = whole ? heads.count : 1;
  const Range all = pass.worker.Split(pass.tokens() * heads.count / together);
  for (size_t i = all.begin; i < all.end; ++i) {
    float* x = &heads.values[i * together * head_dim];
    const bool before = !heads.norm.empty() && !pass.config.head_norms_rotated;
    if (before) Norm(pass, heads.norm, x);
    for (size_t h = 0; h < together; ++h) {
      Rotate(pass, heads, rope, i * together + h, x + h * head_dim);
    }
    if (!heads.norm.empty() && !before) Norm(pass, heads.norm, x);
  }
}

// attention = softmax(cap(s · rope(q) · rope(K)ᵀ)) · V, from q, k, v as the products left them.
void Attend(const Pass& pass, const LayerWeights& layer, size_t index) {
  const ModelConfig& config = pass.config;
  Activity& a = pass.a;
  const LayerConfig& kind = config.layer[index];
  const size_t q_size = pass.tokens() * config.heads * config.head_dim;
  const size_t k_size = pass.tokens() * config.kv_heads * config.head_dim;
  pass.Look(Step::kQuery, index, a.q, q_size);
  pass.Look(Step::kKey, index, a.k, k_size);
  pass.Look(Step::kValue, index, a.v, k_size);
  NormAndRotate(pass, {a.q, config.heads, layer.q_norm, true}, kind.rope);
  NormAndRotate(pass, {a.k, config.kv_heads, layer.k_norm, false}, kind.rope);
  pass.worker.Sync();
  pass.Look(Step::kRotation, index, a.q, q_size);
  pass.Look(Step::kRotation, index, a.k, k_size);
  kernels::AttentionArgs args;
  args.layout = pass.kv->layout;
  args.pool = pass.kv->pool;
  args.layer = index;
  args.heads = config.heads;
  args.scale = config.attention_scale;
  args.soft_cap = config.attention_soft_cap;
  args.window = kind.window;
  args.spans = pass.batch.spans;
  args.sinks = layer.sinks;
  // Products that round their operands make attention's rounding no worse.
  args.bf16_tiles = pass.activations != kernels::Activations::kF32;
  args.min_tile_rows = pass.batch.min_tile_rows;
  kernels::StoreKv(pass.worker, args, a.k.data(), a.v.data());
  pass.worker.Sync();
  kernels::Attention(pass.worker, args, a.q.data(), a.attention.data());
  pass.worker.Sync();
  pass.Look(Step::kAttention, index, a.attention, q_size);
}

}  // namespace

// x += W_o · softmax(cap(s · rope(q) · rope(K)ᵀ)) · V, with q, k, v = W · norm(x) + b.
void AttentionBlock(const Pass& pass, const LayerWeights& layer, size_t index) {
  Activity& a = pass.a;
  pass.AssignNormed(layer.attention_norm, std::array{&layer.q, &layer.k, &layer.v},
                    {Product::kQkv, index});
  const auto product = [](const Matrix& w, std::span<float> y, std::span<const float> bias) {
    return kernels::Projection{.w = &w, .y = y.data(), .bias = DataOrNull(bias)};
  };
  kernels::MatMulEach(
      pass.worker,
      std::array{product(layer.q, a.q, layer.q_bias), product(layer.k, a.k, layer.k_bias),
                 product(layer.v, a.v, layer.v_bias)},
      a.input);
  pass.worker.Sync();
  if (!pass.products_only()) Attend(pass, layer, index);
  pass.Tap({Product::kAttentionOutput, index}, a.attention, pass.tokens(),
           layer.attention_out.cols);
  a.input.Assign(pass.worker, a.attention.data(), pass.tokens(), layer.attention_out.cols,
                 std::array{&layer.attention_out}, pass.activations);
  pass.AddProjection(layer.attention_out, a.input, layer.attention_out_bias,
                     layer.attention_post_norm);
}

}  // namespace crossover::engine

// Finds a decoder's weights under the names that all files share; see architecture.h.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

/// A layer of one index.
class LayerBinder {
 public:
  LayerBinder(TensorBinder& tensors, const ModelConfig& config, const LayerParts& parts,
              size_t index)
      : tensors_(tensors),
        config_(config),
        parts_(parts),
        prefix_(fmt::format("blk.{}.", index)),
        q_rows_(config.heads * config.head_dim),
        kv_rows_(config.kv_heads * config.head_dim) {}

  LayerWeights Bind() {
    LayerWeights layer;
    layer.attention_norm = Norm("attn_norm", config_.dim);
    BindProjections(layer);
    if (parts_.head_norms) {
      layer.q_norm = Norm("attn_q_norm", config_.head_dim);
      layer.k_norm = Norm("attn_k_norm", config_.head_dim);
    }
    layer.attention_out = Matrix("attn_output", config_.dim, q_rows_);
    layer.attention_out_bias = tensors_.OptionalVector(prefix_ + "attn_output.bias", config_.dim);
    layer.ffn_norm = Norm("ffn_norm", config_.dim);
    BindGateAndUp(layer);
    layer.down = Matrix("ffn_down", config_.dim, config_.ffn_dim);
    if (parts_.post_norms) {
      layer.attention_post_norm = Norm("post_attention_norm", config_.dim);
      layer.ffn_post_norm = Norm("post_ffw_norm", config_.dim);
    }
    return layer;
  }

 private:
  kernels::Matrix Matrix(std::string_view name, size_t rows, size_t cols) {
    return tensors_.Matrix(fmt::format("{}{}.weight", prefix_, name), rows, cols);
  }
  std::span<const float> Norm(std::string_view name, size_t size) {
    return tensors_.Vector(fmt::format("{}{}.weight", prefix_, name), size);
  }
  std::span<const float> Bias(std::string_view name, size_t size) {
    const std::string full = fmt::format("{}{}.bias", prefix_, name);
    return parts_.qkv_biases ? tensors_.Vector(full, size) : tensors_.OptionalVector(full, size);
  }
  bool Has(std::string_view name) const {
    return tensors_.Has(fmt::format("{}{}.weight", prefix_, name));
  }

  // Rows of q above those of k above those of v, or three matrices.
  void BindProjections(LayerWeights& layer) {
    if (!(parts_.fused_matrices ? !Has("attn_q") : Has("attn_qkv"))) {
      layer.q = Matrix("attn_q", q_rows_, config_.dim);
      layer.k = Matrix("attn_k", kv_rows_, config_.dim);
      layer.v = Matrix("attn_v", kv_rows_, config_.dim);
      layer.q_bias = Bias("attn_q", q_rows_);
      layer.k_bias = Bias("attn_k", kv_rows_);
      layer.v_bias = Bias("attn_v", kv_rows_);
      return;
    }
    const kernels::Matrix qkv = Matrix("attn_qkv", q_rows_ + 2 * kv_rows_, config_.dim);
    layer.q = Rows(qkv, 0, q_rows_);
    layer.k = Rows(qkv, q_rows_, kv_rows_);
    layer.v = Rows(qkv, q_rows_ + kv_rows_, kv_rows_);
    const std::span<const float> bias = Bias("attn_qkv", qkv.rows);
    if (bias.empty()) return;
    layer.q_bias = bias.first(q_rows_);
    layer.k_bias = bias.subspan(q_rows_, kv_rows_);
    layer.v_bias = bias.last(kv_rows_);
  }

  void BindGateAndUp(LayerWeights& layer) {
    const size_t n = config_.ffn_dim;
    if (!parts_.fused_matrices || Has("ffn_gate")) {
      layer.gate = Matrix("ffn_gate", n, config_.dim);
      layer.up = Matrix("ffn_up", n, config_.dim);
      return;
    }
    const kernels::Matrix both = Matrix("ffn_up", 2 * n, config_.dim);
    layer.gate = Rows(both, 0, n);
    layer.up = Rows(both, n, n);
  }

  TensorBinder& tensors_;
  const ModelConfig& config_;
  const LayerParts& parts_;
  const std::string prefix_;
  const size_t q_rows_;
  const size_t kv_rows_;
};

// The divisors of the scaling in the metadata times those of a tensor of the file.
std::span<const float> Product(TensorBinder& tensors, const RopeConfig& rope,
                               const ModelConfig& config, std::span<const float> own) {
  std::vector<float> product = RopeDivisors(rope, config.rotary_dim);
  if (product.empty()) return own;
  for (size_t i = 0; i < own.size(); ++i) product[i] *= own[i];
  return tensors.Keep(std::move(product));
}

std::vector<RopeWeights> BindRopes(TensorBinder& tensors, const ModelConfig& config) {
  const std::string long_name = "rope_factors_long.weight";
  const std::string short_name = "rope_factors_short.weight";
  const size_t pairs = config.rotary_dim / 2;
  std::span<const float> own = tensors.OptionalVector("rope_freqs.weight", pairs);
  std::span<const float> own_long;
  // One of the two without the other would rotate some sequences as if nothing were scaled.
  if (tensors.Has(long_name) || tensors.Has(short_name)) {
    own = tensors.Vector(short_name, pairs);
    own_long = tensors.Vector(long_name, pairs);
  }
  tensors.CheckPositive(own, "RoPE factors");
  tensors.CheckPositive(own_long, "RoPE factors");
  std::vector<RopeWeights> ropes;
  for (const RopeConfig& rope : config.ropes) {
    ropes.push_back(
        {.base = static_cast<float>(rope.base),
         .magnitude = static_cast<float>(rope.magnitude),
         .divisors = Product(tensors, rope, config, own),
         .long_divisors = own_long.empty() ? own_long : Product(tensors, rope, config, own_long),
         .original_context = rope.original_context});
  }
  return ropes;
}

}  // namespace

Weights BindWeights(TensorBinder& tensors, const ModelConfig& config, const LayerParts& parts) {
  Weights weights;
  weights.embedding = tensors.Matrix("token_embd.weight", config.vocab, config.dim);
  weights.output = tensors.Has("output.weight")
                       ? tensors.Matrix("output.weight", config.vocab, config.dim)
                       : weights.embedding;
  weights.output_bias = tensors.OptionalVector("output.bias", config.vocab);
  weights.output_norm = tensors.Vector("output_norm.weight", config.dim);
  weights.ropes = BindRopes(tensors, config);
  for (size_t i = 0; i < config.layers; ++i) {
    weights.layers.push_back(LayerBinder(tensors, config, parts, i).Bind());
  }
  tensors.CheckAllBound();
  return weights;
}

}  // namespace crossover::engine

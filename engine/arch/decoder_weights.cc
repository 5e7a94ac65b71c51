// Finds a decoder's weights under the names that all files share; see architecture.h.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

std::span<const float> BindBias(TensorBinder& tensors, const std::string& name, size_t size,
                                bool required) {
  const std::string full = name + ".bias";
  return required ? tensors.Vector(full, size) : tensors.OptionalVector(full, size);
}

/// NAME.weight, and NAME.bias where norms of this kind have one.
NormWeights BindNorm(TensorBinder& tensors, const ModelConfig& config, const LayerParts& parts,
                     const std::string& name) {
  NormWeights norm;
  norm.weight = tensors.Vector(name + ".weight", config.dim);
  if (config.norm == kernels::NormKind::kLayer) {
    norm.bias = BindBias(tensors, name, config.dim, parts.norm_biases);
  }
  return norm;
}

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
    const bool before = parts_.norms != NormPlaces::kBehind;
    if (before) layer.attention_norm = Norm("attn_norm");
    BindProjections(layer);
    BindHeadNorms(layer);
    layer.attention_out = Matrix("attn_output", config_.dim, q_rows_);
    layer.attention_out_bias = Bias("attn_output", config_.dim, parts_.output_biases);
    if (parts_.sinks) layer.sinks = Vector("attn_sinks.weight", config_.heads);
    if (before) {
      layer.ffn_norm = parts_.ffn_norm.empty() ? layer.attention_norm : Norm(parts_.ffn_norm);
    }
    if (config_.experts.count == 0) {
      layer.ffn = BindFeedForward();
    } else {
      BindExperts(layer);
    }
    if (parts_.norms != NormPlaces::kBefore) {
      layer.attention_post_norm = Norm("post_attention_norm");
      layer.ffn_post_norm = Norm("post_ffw_norm");
    }
    return layer;
  }

 private:
  kernels::Matrix Matrix(std::string_view name, size_t rows, size_t cols) {
    return tensors_.Matrix(fmt::format("{}{}.weight", prefix_, name), rows, cols);
  }
  std::span<const float> Vector(std::string_view name, size_t size) {
    return tensors_.Vector(prefix_ + std::string(name), size);
  }
  std::span<const float> Bias(std::string_view name, size_t size, bool required) {
    return BindBias(tensors_, prefix_ + std::string(name), size, required);
  }
  NormWeights Norm(std::string_view name) {
    return BindNorm(tensors_, config_, parts_, fmt::format("{}{}", prefix_, name));
  }
  bool Has(std::string_view name) const {
    return tensors_.Has(fmt::format("{}{}.weight", prefix_, name));
  }

  // Rows of q above those of k above those of v, or three matrices.
  void BindProjections(LayerWeights& layer) {
    const bool separate = Has("attn_q") || Has("attn_k") || Has("attn_v");
    if (!Has("attn_qkv") && (separate || !parts_.fused_matrices)) {
      layer.q = Matrix("attn_q", q_rows_, config_.dim);
      layer.k = Matrix("attn_k", kv_rows_, config_.dim);
      layer.v = Matrix("attn_v", kv_rows_, config_.dim);
      layer.q_bias = Bias("attn_q", q_rows_, parts_.qkv_biases);
      layer.k_bias = Bias("attn_k", kv_rows_, parts_.qkv_biases);
      layer.v_bias = Bias("attn_v", kv_rows_, parts_.qkv_biases);
      return;
    }
    const kernels::Matrix qkv = Matrix("attn_qkv", q_rows_ + 2 * kv_rows_, config_.dim);
    layer.q = Rows(qkv, 0, q_rows_);
    layer.k = Rows(qkv, q_rows_, kv_rows_);
    layer.v = Rows(qkv, q_rows_ + kv_rows_, kv_rows_);
    const std::span<const float> bias = Bias("attn_qkv", qkv.rows, parts_.qkv_biases);
    if (bias.empty()) return;
    layer.q_bias = bias.first(q_rows_);
    layer.k_bias = bias.subspan(q_rows_, kv_rows_);
    layer.v_bias = bias.last(kv_rows_);
  }

  void BindHeadNorms(LayerWeights& layer) {
    if (parts_.head_norms == HeadNorms::kNone) return;
    const bool whole = parts_.head_norms == HeadNorms::kWhole;
    layer.q_norm = Vector("attn_q_norm.weight", whole ? q_rows_ : config_.head_dim);
    layer.k_norm = Vector("attn_k_norm.weight", whole ? kv_rows_ : config_.head_dim);
  }

  FeedForwardWeights BindFeedForward() {
    FeedForwardWeights ffn;
    const size_t n = config_.ffn_dim;
    ffn.down = Matrix("ffn_down", config_.dim, n);
    ffn.down_bias = Bias("ffn_down", config_.dim, parts_.ffn_biases);
    const bool gated = HasGate(config_.unit);
    if (!gated || !parts_.fused_matrices || Has("ffn_gate")) {
      if (gated) ffn.gate = Matrix("ffn_gate", n, config_.dim);
      if (gated) ffn.gate_bias = Bias("ffn_gate", n, parts_.ffn_biases);
      ffn.up = Matrix("ffn_up", n, config_.dim);
      ffn.up_bias = Bias("ffn_up", n, parts_.ffn_biases);
      return ffn;
    }
    const kernels::Matrix both = Matrix("ffn_up", 2 * n, config_.dim);
    ffn.gate = Rows(both, 0, n);
    ffn.up = Rows(both, n, n);
    return ffn;
  }

  // Stacks of matrices, one an expert.
  void BindExperts(LayerWeights& layer) {
    const size_t count = config_.experts.count, n = config_.ffn_dim, dim = config_.dim;
    layer.router = Matrix("ffn_gate_inp", count, dim);
    layer.router_bias = Bias("ffn_gate_inp", count, parts_.ffn_biases);
    const auto stack = [&](const char* name, size_t rows, size_t cols) {
      return tensors_.Matrices(fmt::format("{}{}.weight", prefix_, name), count, rows, cols);
    };
    const auto biases = [&](const char* name, size_t rows) {
      const std::string full = fmt::format("{}{}.bias", prefix_, name);
      return parts_.ffn_biases || tensors_.Has(full) ? tensors_.Vectors(full, count, rows)
                                                     : std::span<const float>();
    };
    const std::vector<kernels::Matrix> gates = stack("ffn_gate_exps", n, dim);
    const std::vector<kernels::Matrix> ups = stack("ffn_up_exps", n, dim);
    const std::vector<kernels::Matrix> downs = stack("ffn_down_exps", dim, n);
    const std::span<const float> gate_biases = biases("ffn_gate_exps", n);
    const std::span<const float> up_biases = biases("ffn_up_exps", n);
    const std::span<const float> down_biases = biases("ffn_down_exps", dim);
    const auto part = [](std::span<const float> all, size_t expert, size_t size) {
      return all.empty() ? all : all.subspan(expert * size, size);
    };
    for (size_t e = 0; e < count; ++e) {
      layer.experts.push_back({.gate = gates[e],
                               .up = ups[e],
                               .down = downs[e],
                               .gate_bias = part(gate_biases, e, n),
                               .up_bias = part(up_biases, e, n),
                               .down_bias = part(down_biases, e, dim)});
    }
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
  const std::span<const float> none;
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
         .divisors = Product(tensors, rope, config, rope.own_factors ? own : none),
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
  weights.output_norm = BindNorm(tensors, config, parts, "output_norm");
  if (parts.positions) {
    weights.positions = tensors.Matrix("position_embd.weight", config.context, config.dim);
  }
  weights.ropes = BindRopes(tensors, config);
  for (size_t i = 0; i < config.layers; ++i) {
    weights.layers.push_back(LayerBinder(tensors, config, parts, i).Bind());
  }
  tensors.CheckAllBound();
  return weights;
}

}  // namespace crossover::engine

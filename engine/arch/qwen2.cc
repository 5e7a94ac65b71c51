// Qwen2 and Qwen2.5 (arXiv 2407.10671, 2412.15115): Llama's layer with biases on q, k and v and
// RoPE pairs half a head apart.
#include <fmt/format.h>

#include "base/error.h"
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file);
  config.rope_style = kernels::RopeStyle::kNeox;
  return config;
}

Weights Bind(TensorBinder& tensors, const ModelConfig& config) {
  Weights weights = BindEnds(tensors, config);
  for (size_t i = 0; i < config.layers; ++i) {
    weights.layers.push_back(BindDecoderLayer(tensors, config, i));
    const LayerWeights& layer = weights.layers.back();
    if (layer.q_bias.empty() || layer.k_bias.empty() || layer.v_bias.empty()) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("blk.{}: qwen2 needs attn_q.bias, attn_k.bias and attn_v.bias; at "
                              "least one is missing",
                              i));
    }
  }
  return weights;
}

}  // namespace

const Architecture kQwen2{"qwen2", ReadConfig, Bind};

}  // namespace crossover::engine

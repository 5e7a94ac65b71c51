// Llama 1–3.x, Mistral, TinyLlama, SmolLM (arXiv 2302.13971, 2407.21783): pre-norm decoder, grouped
// queries, SwiGLU, interleaved RoPE (the files hold q and k with their rows permuted for it), and
// Llama 3's RoPE frequency factors in rope_freqs.weight.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file);
  config.rope_style = kernels::RopeStyle::kInterleaved;
  return config;
}

Weights Bind(TensorBinder& tensors, const ModelConfig& config) {
  Weights weights = BindEnds(tensors, config);
  for (size_t i = 0; i < config.layers; ++i) {
    weights.layers.push_back(BindDecoderLayer(tensors, config, i));
  }
  return weights;
}

}  // namespace

const Architecture kLlama{"llama", ReadConfig, Bind};

}  // namespace crossover::engine

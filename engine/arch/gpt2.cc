// GPT-2 (Radford et al. 2019): LayerNorm, GELU without a gate, learned positions and no rotation.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(
      file, {.rope = kernels::RopeStyle::kNeox, .norm = kernels::NormKind::kLayer});
  config.unit = Unit::kGelu;
  for (LayerConfig& layer : config.layer) layer.rope = kNoRope;
  return config;
}

}  // namespace

const Architecture kGpt2{"gpt2",
                         ReadConfig,
                         {.qkv_biases = true,
                          .output_biases = true,
                          .ffn_biases = true,
                          .norm_biases = true,
                          .fused_matrices = true,
                          .positions = true}};

}  // namespace crossover::engine

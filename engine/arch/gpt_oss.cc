// gpt-oss (OpenAI, arXiv 2508.10925): mixtures of experts with biases and a clamped unit, attention
// with sinks, and a window in every other layer, beginning with the first.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config =
      ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox, .experts = true});
  const Keys keys(file);
  SetWindows(keys, keys.SizeOrNone("attention.sliding_window", 0), 2, config);
  config.unit = Unit::kClampedSwiGlu;
  config.experts.normed = true;  // the softmax is over the chosen scores
  return config;
}

}  // namespace

const Architecture kGptOss{"gpt-oss",
                           ReadConfig,
                           {.ffn_norm = "post_attention_norm",
                            .qkv_biases = true,
                            .output_biases = true,
                            .ffn_biases = true,
                            .sinks = true}};

}  // namespace crossover::engine

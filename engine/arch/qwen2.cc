// Qwen2 and Qwen2.5 (arXiv 2407.10671, 2412.15115): Llama's layer with biases on q, k and v and
// RoPE pairs half a head apart.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, kernels::RopeStyle::kNeox);
}

}  // namespace

const Architecture kQwen2{"qwen2", ReadConfig, {.qkv_biases = true}};

}  // namespace crossover::engine

// Qwen3's dense models (arXiv 2505.09388): Qwen2 with norms on the heads of q and k in place of the
// biases, and a head size that does not follow from the width.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, kernels::RopeStyle::kNeox);
}

}  // namespace

const Architecture kQwen3{"qwen3", ReadConfig, {.head_norms = true}};

}  // namespace crossover::engine

// Qwen3's mixtures of experts (arXiv 2505.09388): Qwen3's layer, of whose feed-forward blocks each
// token takes some; the weights of the chosen ones add up to 1.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox, .experts = true});
}

}  // namespace

const Architecture kQwen3Moe{"qwen3moe", ReadConfig, {.head_norms = HeadNorms::kEachHead}};

}  // namespace crossover::engine

// EXAONE 3 and 3.5 (arXiv 2408.03541, 2412.04862): Llama's layer with RoPE pairs half a head apart.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox});
}

}  // namespace

const Architecture kExaone{"exaone", ReadConfig, {}};

}  // namespace crossover::engine

// InternLM 2 and 2.5 (arXiv 2403.17297): Llama's layer. InternLM 3 is converted to "llama".
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
}

}  // namespace

const Architecture kInternLm2{"internlm2", ReadConfig, {}};

}  // namespace crossover::engine

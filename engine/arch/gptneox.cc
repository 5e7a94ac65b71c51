// GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373): LayerNorm, GELU without a gate, q, k and v in
// one matrix, a part of each head rotated, and both blocks of a layer computed from the same
// stream.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(
      file, {.rope = kernels::RopeStyle::kNeox, .norm = kernels::NormKind::kLayer});
  config.unit = Unit::kGelu;
  config.parallel_blocks = Keys(file).Bool("use_parallel_residual", true);
  return config;
}

}  // namespace

const Architecture kGptNeox{"gptneox",
                            ReadConfig,
                            {.qkv_biases = true,
                             .output_biases = true,
                             .ffn_biases = true,
                             .norm_biases = true,
                             .fused_matrices = true},
                            {"use_parallel_residual"}};

}  // namespace crossover::engine

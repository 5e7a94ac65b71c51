// Arcee's AFM: Llama's layer with squared ReLU (arXiv 2109.08668) in place of the gated unit.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
  config.unit = Unit::kReluSquared;
  return config;
}

}  // namespace

const Architecture kArcee{"arcee", ReadConfig, {}};

const HfFamily kArceeHf{.model = "ArceeForCausalLM",
                        .type = "arcee",
                        .gguf = "arcee",
                        .gated = false,
                        .halves = true,
                        .activation = "relu2"};

}  // namespace crossover::engine

// Nemotron and Minitron (arXiv 2402.16819, 2407.14679): LayerNorm, squared ReLU without a gate,
// half of each head rotated. Files hold the norms' weights with the 1 added that models leave out.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(
      file, {.rope = kernels::RopeStyle::kNeox, .norm = kernels::NormKind::kLayer});
  config.unit = Unit::kReluSquared;
  return config;
}

constexpr std::string_view kHfKeys[] = {"norm_eps"};

void ReadHf(const JsonObject&, HfConfig& facts) {
  if (!facts.qkv_bias) facts.qkv_bias = facts.output_bias = false;
}

}  // namespace

const Architecture kNemotron{"nemotron", ReadConfig, {.norm_biases = true}};

const HfFamily kNemotronHf{.model = "NemotronForCausalLM",
                           .type = "nemotron",
                           .gguf = "nemotron",
                           .gated = false,
                           .norm_biases = true,
                           .norm_offset = 1,
                           .activation = "relu2",
                           .norm_eps = "norm_eps",
                           .may_rotate_parts = true,
                           .rotated_part = 0.5,
                           .keys = kHfKeys,
                           .read = ReadHf};

}  // namespace crossover::engine

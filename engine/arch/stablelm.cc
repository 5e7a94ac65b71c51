// StableLM 2 (arXiv 2402.17834): Llama's layer with LayerNorm, and a part of each head rotated. The
// 12B model, whose heads have norms of their own, cannot be run.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file,
                           {.rope = kernels::RopeStyle::kNeox, .norm = kernels::NormKind::kLayer});
}

constexpr std::string_view kHfKeys[] = {"layer_norm_eps", "use_qkv_bias", "use_parallel_residual",
                                        "qk_layernorm",   "norm_eps",     "rotary_scaling_factor"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = config.FindBool("use_qkv_bias").value_or(false);
  facts.output_bias = false;
  for (const char* key : {"use_parallel_residual", "qk_layernorm"}) {
    if (!config.FindBool(key).value_or(false)) continue;
    config.Unsupported(std::string("'") + key + "' is true, which cannot be run");
  }
}

}  // namespace

const Architecture kStableLm{"stablelm", ReadConfig, {.norm_biases = true}};

const HfFamily kStableLmHf{.model = "StableLmForCausalLM",
                           .type = "stablelm",
                           .gguf = "stablelm",
                           .norm_biases = true,
                           .norm_eps = "layer_norm_eps",
                           .may_rotate_parts = true,
                           .rotated_part = 0.25,
                           .keys = kHfKeys,
                           .read = ReadHf};

}  // namespace crossover::engine

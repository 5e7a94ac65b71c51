// GLM-4-0414 and GLM-Edge (arXiv 2406.12793): norms before and behind each block, gate and up in
// one matrix, half of each head rotated.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
}

constexpr HfNorm kHfNorms[] = {{"input_layernorm", "attn_norm"},
                               {"post_self_attn_layernorm", "post_attention_norm"},
                               {"post_attention_layernorm", "ffn_norm"},
                               {"post_mlp_layernorm", "post_ffw_norm"}};

void ReadHf(const JsonObject&, HfConfig& facts) {
  facts.qkv_bias = facts.qkv_bias.value_or(true);
  facts.output_bias = false;
}

}  // namespace

const Architecture kGlm4{"glm4", ReadConfig, {.norms = NormPlaces::kBoth, .fused_matrices = true}};

const HfFamily kGlm4Hf{.model = "Glm4ForCausalLM",
                       .type = "glm4",
                       .gguf = "glm4",
                       .norms = kHfNorms,
                       .fused_gate_up = true,
                       .head_dim = 128,
                       .may_rotate_parts = true,
                       .rotated_part = 0.5,
                       .read = ReadHf};

}  // namespace crossover::engine

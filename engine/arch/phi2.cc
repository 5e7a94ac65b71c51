// Phi-1, 1.5 and 2 (arXiv 2306.11644, 2309.05463): LayerNorm, GELU without a gate, biases
// everywhere, a part of each head rotated, and both blocks of a layer computed from one norm of the
// stream.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(
      file, {.rope = kernels::RopeStyle::kNeox, .norm = kernels::NormKind::kLayer});
  config.unit = Unit::kGelu;
  config.parallel_blocks = true;
  return config;
}

constexpr HfNorm kHfNorms[] = {{"input_layernorm", "attn_norm"}};
constexpr std::string_view kHfKeys[] = {"layer_norm_eps", "qk_layernorm"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = facts.output_bias = facts.ffn_bias = true;
  if (config.FindBool("qk_layernorm").value_or(false)) {
    config.Unsupported("'qk_layernorm' is true, which cannot be run");
  }
}

}  // namespace

const Architecture kPhi2{"phi2",
                         ReadConfig,
                         {.ffn_norm = "",
                          .qkv_biases = true,
                          .output_biases = true,
                          .ffn_biases = true,
                          .norm_biases = true}};

const HfFamily kPhiHf{.model = "PhiForCausalLM",
                      .type = "phi",
                      .gguf = "phi2",
                      .norms = kHfNorms,
                      .output = "self_attn.dense",
                      .up = "mlp.fc1",
                      .down = "mlp.fc2",
                      .final_norm = "model.final_layernorm",
                      .gated = false,
                      .norm_biases = true,
                      .logit_bias = true,
                      .activation = "gelu_pytorch_tanh",
                      .norm_eps = "layer_norm_eps",
                      .may_rotate_parts = true,
                      .rotated_part = 0.5,
                      .keys = kHfKeys,
                      .read = ReadHf};

}  // namespace crossover::engine

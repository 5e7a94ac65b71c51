// StarCoder 2 (arXiv 2402.19173): LayerNorm, GELU without a gate, biases everywhere.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(
      file, {.rope = kernels::RopeStyle::kNeox, .norm = kernels::NormKind::kLayer});
  config.unit = Unit::kGelu;
  return config;
}

constexpr std::string_view kHfKeys[] = {"use_bias",          "norm_epsilon", "residual_dropout",
                                        "embedding_dropout", "mlp_type",     "norm_type"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = facts.output_bias = facts.ffn_bias = config.FindBool("use_bias").value_or(true);
}

}  // namespace

const Architecture kStarCoder2{
    "starcoder2",
    ReadConfig,
    {.qkv_biases = true, .output_biases = true, .ffn_biases = true, .norm_biases = true}};

const HfFamily kStarCoder2Hf{.model = "Starcoder2ForCausalLM",
                             .type = "starcoder2",
                             .gguf = "starcoder2",
                             .up = "mlp.c_fc",
                             .down = "mlp.c_proj",
                             .gated = false,
                             .norm_biases = true,
                             .activation = "gelu_pytorch_tanh",
                             .norm_eps = "norm_epsilon",
                             .tied = true,
                             .windows = HfWindows::kAllSaid,
                             .keys = kHfKeys,
                             .read = ReadHf};

}  // namespace crossover::engine

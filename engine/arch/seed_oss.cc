// ByteDance's Seed-OSS: Llama's layer with biases on q, k and v, RoPE pairs half a head apart, and
// another name for the norm before the feed-forward block.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox});
}

constexpr HfNorm kHfNorms[] = {{"input_layernorm", "attn_norm"},
                               {"post_attention_layernorm", "post_attention_norm"}};
constexpr std::string_view kHfKeys[] = {"attention_out_bias", "residual_dropout"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = facts.qkv_bias.value_or(true);
  facts.output_bias = config.FindBool("attention_out_bias").value_or(false);
}

}  // namespace

const Architecture kSeedOss{
    "seed_oss", ReadConfig, {.ffn_norm = "post_attention_norm", .qkv_biases = true}};

const HfFamily kSeedOssHf{.model = "SeedOssForCausalLM",
                          .type = "seed_oss",
                          .gguf = "seed_oss",
                          .norms = kHfNorms,
                          .head_dim = 128,
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine

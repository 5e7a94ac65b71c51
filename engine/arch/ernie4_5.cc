// ERNIE 4.5's dense models (Baidu, 2025): Llama's layer.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
}

constexpr std::string_view kHfKeys[] = {"use_bias"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = facts.output_bias = facts.ffn_bias = config.FindBool("use_bias").value_or(false);
}

}  // namespace

const Architecture kErnie45{"ernie4_5", ReadConfig, {}};

// Heads turn in neighbours there too.
const HfFamily kErnie45Hf{.model = "Ernie4_5ForCausalLM",
                          .type = "ernie4_5",
                          .gguf = "ernie4_5",
                          .head_dim = 128,
                          .tied = true,
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine

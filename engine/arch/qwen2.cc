// Qwen2 and Qwen2.5 (arXiv 2407.10671, 2412.15115): Llama's layer with biases on q, k and v and
// RoPE pairs half a head apart.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {kernels::RopeStyle::kNeox});
}

// The three of attention are always there, the output has none.
void ReadHf(const JsonObject&, HfConfig& facts) {
  facts.qkv_bias = true;
  facts.output_bias = false;
}

}  // namespace

const Architecture kQwen2{"qwen2", ReadConfig, {.qkv_biases = true}};

const HfFamily kQwen2Hf{.model = "Qwen2ForCausalLM",
                        .type = "qwen2",
                        .gguf = "qwen2",
                        .windows = HfWindows::kQwen2,
                        .tells_unknown_keys = true,
                        .read = ReadHf};

}  // namespace crossover::engine

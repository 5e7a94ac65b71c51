// Ministral 3 and Mistral Small 3 as converted since 2025: Llama's layer; queries of positions
// beyond the context of the first training are sharpened (the "temperature" of Llama 4).
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
  config.temperature.scale = Keys(file).PositiveOrNone("attention.temperature_scale", 0);
  config.temperature.length = config.ropes[0].original_context;
  return config;
}

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = facts.output_bias = false;
  const auto rope = config.FindObject("rope_parameters");
  const double scale = rope ? rope->FindFloat("llama_4_scaling_beta").value_or(0) : 0;
  if (scale < 0) rope->Fail("llama_4_scaling_beta", "is below 0");
  if (scale != 0) facts.own.emplace_back("attention.temperature_scale", GgufFloat(scale));
}

}  // namespace

const Architecture kMistral3{"mistral3", ReadConfig, {}, {"attention.temperature_scale"}};

const HfFamily kMinistral3Hf{.model = "Ministral3ForCausalLM",
                             .type = "ministral3",
                             .gguf = "mistral3",
                             .halves = true,
                             .windows = HfWindows::kAllSaid,
                             .scaling_key = "llama_4_scaling_beta",
                             .read = ReadHf};

}  // namespace crossover::engine

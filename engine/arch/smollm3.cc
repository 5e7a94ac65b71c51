// SmolLM3 (Hugging Face, 2025): Llama's layer; every fourth knows no positions but by what it sees
// (NoPE, arXiv 2501.18795), which no key says.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

constexpr size_t kPeriod = 4;

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
  for (size_t i = kPeriod - 1; i < config.layers; i += kPeriod) config.layer[i].rope = kNoRope;
  return config;
}

constexpr std::string_view kHfKeys[] = {"no_rope_layers", "no_rope_layer_interval"};

/// GGUF has no key for the layers that do not rotate: it has to be every fourth.
void ReadHf(const JsonObject& config, HfConfig& facts) {
  if (config.FindBool("use_sliding_window").value_or(false)) {
    config.Unsupported("'use_sliding_window' is true; SmolLM3 has no windows in GGUF");
  }
  const uint64_t interval = config.FindCount("no_rope_layer_interval").value_or(kPeriod);
  if (config.Find("no_rope_layers") == nullptr) {
    if (interval == kPeriod) return;
    config.Unsupported("'no_rope_layer_interval' is not 4, and GGUF has no key for it");
  }
  // 1 where a layer does rotate.
  const nlohmann::json& rotates = config.Array("no_rope_layers");
  bool fits = rotates.size() >= facts.layers;
  for (uint64_t i = 0; fits && i < facts.layers; ++i) {
    fits = rotates[i] == ((i + 1) % kPeriod != 0 ? 1 : 0);
  }
  if (!fits) config.Unsupported("'no_rope_layers' is not every fourth, and GGUF has no key for it");
}

}  // namespace

const Architecture kSmolLm3{"smollm3", ReadConfig, {}};

const HfFamily kSmolLm3Hf{.model = "SmolLM3ForCausalLM",
                          .type = "smollm3",
                          .gguf = "smollm3",
                          .halves = true,
                          .tied = true,
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine

// IBM's Granite 3 and the dense ones of Granite 4: Llama's layer with four scales, of embeddings,
// of what blocks add to the stream, of attention's scores and of logits. Models whose rotation was
// not "fine-tuned" have none (rope.scaling.finetuned).
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config =
      ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved, .experts = true});
  const Keys keys(file);
  ReadScales(keys, config);
  if (!keys.Bool("rope.scaling.finetuned", true)) {
    for (LayerConfig& layer : config.layer) layer.rope = kNoRope;
  }
  return config;
}

constexpr std::string_view kHfKeys[] = {"embedding_multiplier", "residual_multiplier",
                                        "attention_multiplier", "logits_scaling"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  const auto add = [&](const char* gguf, const char* hf) {
    facts.own.emplace_back(gguf, GgufFloat(PositiveOf(config, hf, 1)));
  };
  add("embedding_scale", "embedding_multiplier");
  add("residual_scale", "residual_multiplier");
  add("attention.scale", "attention_multiplier");
  add("logit_scale", "logits_scaling");
  if (!facts.qkv_bias) facts.qkv_bias = facts.output_bias = false;
}

}  // namespace

const Architecture kGranite{
    "granite", ReadConfig, {}, {"embedding_scale", "residual_scale", "logit_scale"}};
const Architecture kGraniteMoe{
    "granitemoe", ReadConfig, {}, {"embedding_scale", "residual_scale", "logit_scale"}};

const HfFamily kGraniteHf{.model = "GraniteForCausalLM",
                          .type = "granite",
                          .gguf = "granite",
                          .halves = true,
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine

// Cohere's Command R and R7B, Aya (arXiv 2412.04261, 2504.00698): LayerNorm without bias, both
// blocks of a layer computed from one norm of the stream, logits multiplied by a scale. The second
// generation has a window in three layers of four, and only these rotate. Command R+, whose heads
// have norms of their own, cannot be run.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(
      file, {.rope = kernels::RopeStyle::kInterleaved, .norm = kernels::NormKind::kLayer});
  config.parallel_blocks = true;
  const double scale = Keys(file).PositiveOrNone("logit_scale", 1);
  config.logit_scale = scale == 0 ? 1.0f : static_cast<float>(scale);
  return config;
}

ModelConfig ReadConfigOf2(const GgufFile& file) {
  ModelConfig config = ReadConfig(file);
  const Keys keys(file);
  SetWindows(keys, keys.Size("attention.sliding_window"), 4, config);
  for (LayerConfig& layer : config.layer) {
    if (layer.window == 0) layer.rope = kNoRope;
  }
  return config;
}

constexpr HfNorm kHfNorms[] = {{"input_layernorm", "attn_norm"}};
constexpr std::string_view kHfKeys[] = {
    "layer_norm_eps",          "logit_scale",        "use_qk_norm",
    "sliding_window_pattern",  "use_parallel_block", "use_gated_activation",
    "position_embedding_type", "rotary_pct",         "order_of_interleaved_layers",
    "cache_implementation"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  if (!facts.qkv_bias) facts.qkv_bias = facts.output_bias = false;
  facts.own.emplace_back("logit_scale", GgufFloat(PositiveOf(config, "logit_scale", 0.0625)));
  if (config.FindBool("use_qk_norm").value_or(false)) {
    config.Unsupported("'use_qk_norm' is true, which cannot be run");
  }
  for (const char* key : {"use_parallel_block", "use_gated_activation"}) {
    if (config.FindBool(key).value_or(true)) continue;
    config.Unsupported(std::string("'") + key + "' is false, which cannot be run");
  }
  if (config.FindFloat("rotary_pct").value_or(1) != 1) {
    config.Unsupported("'rotary_pct' is not 1, but this architecture rotates whole heads");
  }
}

// Heads turn in neighbours there too.
constexpr HfFamily kCohereHfBase{.model = "CohereForCausalLM",
                                 .type = "cohere",
                                 .gguf = "command-r",
                                 .norms = kHfNorms,
                                 .norm_eps = "layer_norm_eps",
                                 .tied = true,
                                 .keys = kHfKeys,
                                 .read = ReadHf};

constexpr HfFamily OfSecondGeneration() {
  HfFamily family = kCohereHfBase;
  family.model = "Cohere2ForCausalLM";
  family.type = "cohere2";
  family.gguf = "cohere2";
  family.windows = HfWindows::kKinds;
  return family;
}

}  // namespace

const Architecture kCommandR{"command-r", ReadConfig, {.ffn_norm = ""}, {"logit_scale"}};
const Architecture kCohere2{"cohere2", ReadConfigOf2, {.ffn_norm = ""}, {"logit_scale"}};

const HfFamily kCohereHf = kCohereHfBase;
const HfFamily kCohere2Hf = OfSecondGeneration();

}  // namespace crossover::engine

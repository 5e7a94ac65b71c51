// OLMo 2 and 3 (arXiv 2501.00656, 2512.13961): norms of what blocks add to the stream and none of
// what they read; RMS norms of q and k over all their heads together. OLMo 3 has a window in three
// layers of four, which rotate without the scaling that the others have.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox});
  const Keys keys(file);
  SetWindows(keys, keys.SizeOrNone("attention.sliding_window", 0), 4, config);
  RopeConfig local;
  local.base = config.ropes[0].base;
  const size_t local_rope = config.ropes.size();
  config.ropes.push_back(local);
  for (LayerConfig& layer : config.layer) {
    if (layer.window != 0) layer.rope = local_rope;
  }
  return config;
}

constexpr HfNorm kHfNorms[] = {{"post_attention_layernorm", "post_attention_norm"},
                               {"post_feedforward_layernorm", "post_ffw_norm"},
                               {"self_attn.q_norm", "attn_q_norm", HfWidth::kQuery},
                               {"self_attn.k_norm", "attn_k_norm", HfWidth::kKeyValue}};

}  // namespace

const Architecture kOlmo2{
    "olmo2", ReadConfig, {.norms = NormPlaces::kBehind, .head_norms = HeadNorms::kWhole}};

const HfFamily kOlmo2Hf{
    .model = "Olmo2ForCausalLM", .type = "olmo2", .gguf = "olmo2", .norms = kHfNorms};
const HfFamily kOlmo3Hf{.model = "Olmo3ForCausalLM",
                        .type = "olmo3",
                        .gguf = "olmo2",
                        .norms = kHfNorms,
                        .windows = HfWindows::kKinds,
                        .scaled_layers = "full_attention"};

}  // namespace crossover::engine

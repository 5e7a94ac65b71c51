// EXAONE 4.0 (arXiv 2507.11407): norms of what blocks add to the stream and none of what they read;
// RMS norms of each head of q and k. Models with a window have it in three layers of four, and only
// these rotate.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox});
  const Keys keys(file);
  const size_t window = keys.SizeOrNone("attention.sliding_window", 0);
  SetWindows(keys, window, 4, config);
  for (LayerConfig& layer : config.layer) {
    if (window != 0 && layer.window == 0) layer.rope = kNoRope;
  }
  return config;
}

constexpr HfNorm kHfNorms[] = {{"post_attention_layernorm", "post_attention_norm"},
                               {"post_feedforward_layernorm", "post_ffw_norm"},
                               {"self_attn.q_norm", "attn_q_norm", HfWidth::kHead},
                               {"self_attn.k_norm", "attn_k_norm", HfWidth::kHead}};
constexpr std::string_view kHfKeys[] = {"sliding_window_pattern", "cache_implementation"};

void ReadHf(const JsonObject&, HfConfig& facts) { facts.qkv_bias = facts.output_bias = false; }

}  // namespace

const Architecture kExaone4{
    "exaone4", ReadConfig, {.norms = NormPlaces::kBehind, .head_norms = HeadNorms::kEachHead}};

const HfFamily kExaone4Hf{.model = "Exaone4ForCausalLM",
                          .type = "exaone4",
                          .gguf = "exaone4",
                          .norms = kHfNorms,
                          .windows = HfWindows::kKinds,
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine

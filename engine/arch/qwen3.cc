// Qwen3's dense models (arXiv 2505.09388): Qwen2 with norms on the heads of q and k in place of the
// biases, and a head size that does not follow from the width.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {kernels::RopeStyle::kNeox});
}

constexpr HfNorm kHfNorms[] = {{"input_layernorm", "attn_norm"},
                               {"post_attention_layernorm", "ffn_norm"},
                               {"self_attn.q_norm", "attn_q_norm", HfWidth::kHead},
                               {"self_attn.k_norm", "attn_k_norm", HfWidth::kHead}};

}  // namespace

const Architecture kQwen3{"qwen3", ReadConfig, {.head_norms = HeadNorms::kEachHead}};

const HfFamily kQwen3Hf{.model = "Qwen3ForCausalLM",
                        .type = "qwen3",
                        .gguf = "qwen3",
                        .norms = kHfNorms,
                        .head_dim = 128,
                        .windows = HfWindows::kQwen2};

}  // namespace crossover::engine

// Tencent's dense Hunyuan models of 2025: Qwen3's layer with the norms on the heads of q and k
// behind the rotation.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kNeox});
  config.head_norms_rotated = true;
  return config;
}

constexpr HfNorm kHfNorms[] = {{"input_layernorm", "attn_norm"},
                               {"post_attention_layernorm", "ffn_norm"},
                               {"self_attn.query_layernorm", "attn_q_norm", HfWidth::kHead},
                               {"self_attn.key_layernorm", "attn_k_norm", HfWidth::kHead}};
// Notes, but for those that ReadHf looks at.
constexpr std::string_view kHfKeys[] = {
    "use_qk_norm",    "use_cla",          "attention_head_dim", "add_classification_head",
    "class_num",      "cla_share_factor", "eod_token_id",       "im_end_id",
    "im_start_id",    "im_newline_id",    "mask_init_id",       "norm_type",
    "org_vocab_size", "pad_id",           "pool_type",          "sep_token_id",
    "text_end_id",    "text_start_id"};

void ReadHf(const JsonObject& config, HfConfig&) {
  if (!config.FindBool("use_qk_norm").value_or(true)) {
    config.Unsupported("'use_qk_norm' is false; this architecture has norms on the heads");
  }
  for (const char* key : {"use_cla", "add_classification_head"}) {
    if (!config.FindBool(key).value_or(false)) continue;
    config.Unsupported(std::string("'") + key + "' is true, which cannot be run");
  }
}

}  // namespace

const Architecture kHunyuanDense{"hunyuan-dense", ReadConfig, {.head_norms = HeadNorms::kEachHead}};

const HfFamily kHunyuanHf{.model = "HunYuanDenseV1ForCausalLM",
                          .type = "hunyuan_v1_dense",
                          .gguf = "hunyuan-dense",
                          .norms = kHfNorms,
                          .scaling_key = "alpha",
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine

#include "engine/files/hf_config_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "base/json.h"
#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

using nlohmann::json;

// Read by hf_config.cc, hf_rope.cc and hf_special_tokens.cc.
constexpr auto kHonoured = std::to_array<std::string_view>({
    "architectures",
    "attention_bias",
    "bos_token_id",
    "cls_token_id",
    "eos_token_id",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "layer_types",
    "mask_token_id",
    "max_position_embeddings",
    "max_window_layers",
    "mlp_bias",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "pad_token_id",
    "partial_rotary_factor",
    "quantization_config",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "sep_token_id",
    "sliding_window",
    "tie_word_embeddings",
    "unk_token_id",
    "use_sliding_window",
    "vocab_size",
});

// Training, how a program loads or samples, notes of whoever wrote the file.
constexpr auto kHarmless = std::to_array<std::string_view>({
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_flash_attn_2_enabled",
    "_from_model_config",
    "_name_or_path",
    "attention_dropout",
    "attn_implementation",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "min_length",
    "model_max_length",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attn",
    "use_reentrant",
});

/// A key of other architectures that changes what they compute, and the number at which it does
/// not; null, false, "" and empty lists do not either.
struct Decisive {
  std::string_view key;
  double neutral;
};
constexpr double kNone = 0;  // only what is not there
constexpr double kFactor = 1;
constexpr auto kDecisive = std::to_array<Decisive>({
    {"add_cross_attention", kNone},
    {"alibi", kNone},
    {"attention_multiplier", kNone},
    {"attn_logit_softcapping", kNone},
    {"attn_temperature_tuning", kNone},
    {"clip_qkv", kNone},
    {"compression_config", kNone},
    {"dim_model_base", kNone},
    {"embedding_multiplier", kFactor},
    {"final_logit_softcapping", kNone},
    {"first_k_dense_replace", kNone},
    {"hidden_activation", kNone},
    {"is_encoder_decoder", kNone},
    {"kv_lora_rank", kNone},
    {"logit_scale", kFactor},
    {"logits_scaling", kFactor},
    {"logits_soft_cap", kNone},
    {"lm_head_multiplier", kFactor},
    {"moe_intermediate_size", kNone},
    {"mup_enabled", kNone},
    {"n_routed_experts", kNone},
    {"no_rope_layer_interval", kNone},
    {"no_rope_layers", kNone},
    {"num_experts", kNone},
    {"num_experts_per_tok", kNone},
    {"num_local_experts", kNone},
    {"num_nextn_predict_layers", kNone},
    {"parallel_attn", kNone},
    {"q_lora_rank", kNone},
    {"qk_layernorm", kNone},
    {"query_pre_attn_scalar", kNone},
    {"residual_multiplier", kFactor},
    {"rope_interleaved", kNone},
    {"rope_local_base_freq", kNone},
    {"rotary_pct", kFactor},
    {"scale_depth", kNone},
    {"scale_emb", kFactor},
    {"use_mrope", kNone},
    {"use_parallel_residual", kNone},
    {"use_qk_norm", kNone},
});

bool ChangesNothing(const json& value, double neutral) {
  if (value.is_null() || value == false || value == "" || value == json::array()) return true;
  return value.is_number() && (value == 0 || value == neutral);
}

bool Holds(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

void CheckHfConfigKeys(const JsonObject& config, const HfFamily& family,
                       std::vector<std::string>& warnings) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : config.value().items()) {
    if (Holds(family.keys, key)) continue;
    const auto* decisive = std::ranges::find(kDecisive, key, &Decisive::key);
    if (decisive != kDecisive.end()) {
      if (ChangesNothing(value, decisive->neutral)) continue;
      config.Unsupported(
          fmt::format("{} is {}, which belongs to another architecture; a model that "
                      "needs it cannot be converted",
                      Quoted(key), DumpJson(value).substr(0, 40)));
    }
    if (value.is_null() || Holds(kHonoured, key) || Holds(kHarmless, key)) continue;
    unknown.push_back(Quoted(key));
  }
  if (!unknown.empty() && !family.tells_unknown_keys) {
    config.Unsupported(fmt::format(
        "{} not known here for {}, and may change what the model computes; if not, remove them",
        NameSome(unknown, 8), family.model));
  }
  if (!unknown.empty()) {
    warnings.push_back(
        fmt::format("{}: {} not known here and not honoured", config.name(), NameSome(unknown, 8)));
  }
  const json* code = config.Find("auto_map");
  if (code != nullptr && !code->empty()) {
    warnings.push_back(fmt::format("{}: 'auto_map' names code of the model's own, which is not run",
                                   config.name()));
  }
}

}  // namespace crossover::engine

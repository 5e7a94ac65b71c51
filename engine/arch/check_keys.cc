#include "engine/arch/check_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"

namespace crossover::engine {
namespace {

// Read by ReadDecoderConfig and what it calls.
constexpr auto kHonoured = std::to_array<std::string_view>({
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.scale",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_log_multiplier",
});

// Sizes that the tensors show, notes, and what says how experts are chosen where there are none
// (ReadExperts looks at it where there are some).
constexpr auto kHarmless = std::to_array<std::string_view>({
    "attention.temperature_length",
    "expert_feed_forward_length",
    "expert_gating_func",
    "expert_group_count",
    "expert_group_used_count",
    "expert_shared_count",
    "expert_shared_feed_forward_length",
    "expert_used_count",
    "expert_weights_norm",
    "expert_weights_scale",
    "interleave_moe_layer_step",
    "leading_dense_block_count",
    "moe_every_n_layers",
    "pooling_type",
    "rope.scaling.finetuned",
    "router_logit_softcapping",
    "tensor_data_layout",
    "vocab_size",
});

/// A key that changes what is computed, and the number, beside 0 and false, at which it does not.
struct Decisive {
  std::string_view key;
  double neutral;
};

std::vector<Decisive> DecisiveKeys(const ModelConfig& config) {
  const auto head = static_cast<double>(config.head_dim);
  return {{"attention.clamp_kqv", 0},
          {"attention.key_length_swa", head},
          {"attention.kv_lora_rank", 0},
          {"attention.max_alibi_bias", 0},
          {"attention.output_scale", 1},
          {"attention.q_lora_rank", 0},
          {"attention.shared_kv_layers", 0},
          {"attention.temperature_scale", 0},
          {"attention.value_length_swa", head},
          {"attention.value_scale", 1},
          {"attn_logit_softcapping", 0},
          {"embedding_length_per_layer_input", 0},
          {"embedding_scale", 1},
          {"final_logit_softcapping", 0},
          {"logit_scale", 1},
          {"nextn_predict_layers", 0},
          {"residual_scale", 1},
          {"rope.dimension_count_swa", static_cast<double>(config.rotary_dim)},
          {"rope.freq_base_swa", config.ropes[0].base},
          {"use_parallel_residual", 0}};
}

/// Of a number or a truth; nullopt for anything else.
std::optional<double> NumberOf(const GgufValue& value) {
  if (const auto* n = std::get_if<uint64_t>(&value.value)) return static_cast<double>(*n);
  if (const auto* n = std::get_if<int64_t>(&value.value)) return static_cast<double>(*n);
  if (const auto* n = std::get_if<double>(&value.value)) return *n;
  if (const auto* n = std::get_if<bool>(&value.value)) return *n ? 1 : 0;
  return std::nullopt;
}

[[noreturn]] void Refuse(const GgufFile& file, const std::string& key, const std::string& what) {
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: {} {}, which changes what the model computes and cannot be run",
                          file.path(), Quoted(key), what));
}

void CheckDecisive(const GgufFile& file, const std::string& key, const GgufValue& value,
                   double neutral) {
  const std::optional<double> number = NumberOf(value);
  // Files hold such numbers as float32.
  if (number && (*number == 0 || std::abs(*number - neutral) <= 1e-6 * std::abs(neutral))) return;
  Refuse(file, key, number ? fmt::format("is {}", *number) : "is no number");
}

/// Keys with a value of their own kind. True if `key` is one.
bool CheckSpecial(const GgufFile& file, std::string_view key, const std::string& full,
                  const GgufValue& value, const ModelConfig& config) {
  if (key == "attention.causal") {
    if (NumberOf(value) != 1) Refuse(file, full, "is not true");
    return true;
  }
  if (key != "hidden_activation" && key != "hidden_act") return false;
  const auto* name = std::get_if<std::string>(&value.value);
  const auto has = [&](std::string_view part) { return name->find(part) != std::string::npos; };
  const auto fits = [&] {
    switch (config.unit) {
      case Unit::kSwiGlu:
      case Unit::kClampedSwiGlu:
        return has("silu") || has("swish");
      case Unit::kGeGlu:
      case Unit::kGelu:
        return has("gelu");
      case Unit::kReluSquared:
        return has("relu2") || has("relu_sq");
    }
    return false;
  };
  if (name == nullptr || !fits()) {
    Refuse(file, full, name == nullptr ? "is no name" : fmt::format("is {}", Quoted(*name)));
  }
  return true;
}

bool Holds(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

void CheckKeys(const GgufFile& file, std::span<const std::string_view> own, ModelConfig& config) {
  const std::string prefix = config.architecture + ".";
  const std::vector<Decisive> decisive_keys = DecisiveKeys(config);
  std::vector<std::string> unknown;
  for (const auto& [full, value] : file.metadata()) {
    if (!full.starts_with(prefix)) continue;
    const std::string_view key = std::string_view(full).substr(prefix.size());
    if (Holds(kHonoured, key) || Holds(kHarmless, key) || Holds(own, key)) continue;
    const auto decisive = std::ranges::find(decisive_keys, key, &Decisive::key);
    if (decisive != decisive_keys.end()) {
      CheckDecisive(file, full, value, decisive->neutral);
    } else if (!CheckSpecial(file, key, full, value, config)) {
      unknown.push_back(Quoted(full));
    }
  }
  if (unknown.empty()) return;
  config.warnings.push_back(
      fmt::format("{} not known here and not honoured", NameSome(unknown, 8)));
}

}  // namespace crossover::engine

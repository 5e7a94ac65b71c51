// How Hugging Face publishes the models of an architecture: a row of the table from which
// config.json is read and tensors are renamed. engine/arch has a row beside each architecture.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/files/hf_config.h"
#include "engine/files/json_object.h"

namespace crossover::engine {

/// How long a vector of a layer is.
enum class HfWidth : uint8_t { kDim, kHead, kQuery, kKeyValue };

/// A norm of a layer, by both its names, without ".weight".
struct HfNorm {
  std::string_view hf, gguf;
  HfWidth width = HfWidth::kDim;
};

inline constexpr HfNorm kHfLlamaNorms[] = {{"input_layernorm", "attn_norm"},
                                           {"post_attention_layernorm", "ffn_norm"}};

/// Which layers see a window only.
///   kNone     none, and a sliding_window has no effect
///   kAll      all, by default of 4096 tokens (Mistral)
///   kAllSaid  all, where sliding_window says so
///   kQwen2    where use_sliding_window is true, those of layer_types, else from max_window_layers
///   on kKinds    those of layer_types, or without it all but every fourth
enum class HfWindows : uint8_t { kNone, kAll, kAllSaid, kQwen2, kKinds };

struct HfFamily {
  std::string_view model;  // the class, as `architectures` names it
  std::string_view type;   // model_type
  std::string_view gguf;   // general.architecture

  // Names of tensors, where they are not Llama's.
  std::span<const HfNorm> norms = kHfLlamaNorms;
  std::string_view output = "self_attn.o_proj";
  std::string_view up = "mlp.up_proj";
  std::string_view down = "mlp.down_proj";
  std::string_view final_norm = "model.norm";
  bool gated = true;           // has mlp.gate_proj
  bool fused_gate_up = false;  // mlp.gate_up_proj, gate above up
  bool halves = false;  // heads turn in halves, and in GGUF in neighbours: rows are reordered
  bool norm_biases = false;
  bool logit_bias = false;
  float norm_offset = 0;  // what is left out of the norms' weights

  // Words of config.json.
  std::string_view activation = "silu";
  std::string_view norm_eps = "rms_norm_eps";
  uint64_t head_dim = 0;  // where the key is absent; 0: hidden_size / num_attention_heads
  bool tied = false;      // where tie_word_embeddings is absent
  HfWindows windows = HfWindows::kNone;
  bool may_rotate_parts = false;  // partial_rotary_factor
  double rotated_part = 1;        // where it is absent
  std::string_view scaled_layers =
      {};                             // the one of layer_types that rope_scaling holds for; "": all
  std::string_view scaling_key = {};  // a word of rope_scaling that `read` takes
  std::span<const std::string_view> keys = {};  // of its own, honoured or harmless
  bool tells_unknown_keys = false;              // unknown keys are told, not refused
  /// Reads its own keys; null: none.
  void (*read)(const JsonObject& config, HfConfig& facts) = nullptr;
};

/// All that can be converted, in the order in which they are named to users.
std::span<const HfFamily* const> HfFamilies();

}  // namespace crossover::engine

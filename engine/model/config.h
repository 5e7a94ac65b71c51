// A model's hyperparameters, as an architecture reads them from metadata, checked for sense.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/rope_config.h"
#include "kernels/rows.h"

namespace crossover::engine {

/// What may differ from layer to layer.
struct LayerConfig {
  size_t window = 0;  // tokens that a token sees, itself included; 0: all
  size_t rope = 0;    // index into ModelConfig::ropes
};

struct ModelConfig {
  std::string architecture;  // "llama", "qwen2"
  std::string name;          // general.name, may be empty
  size_t layers = 0;
  size_t dim = 0;  // width of the residual stream
  size_t ffn_dim = 0;
  size_t heads = 0;
  size_t kv_heads = 0;  // divides heads
  size_t head_dim = 0;
  size_t rotary_dim = 0;  // ≤ head_dim, even
  size_t vocab = 0;
  size_t context = 0;  // tokens the model was trained for
  float norm_eps = 1e-5f;
  kernels::RopeStyle rope_style = kernels::RopeStyle::kInterleaved;
  std::vector<RopeConfig> ropes{1};  // kinds of rotation; most models have one
  std::vector<LayerConfig> layer;    // [layers]
  kernels::Gate gate = kernels::Gate::kSilu;
  float embedding_scale = 1.0f;     // x = scale · E[token]
  float attention_scale = 1.0f;     // of q·k
  float attention_soft_cap = 0.0f;  // of the scaled q·k; 0: none
  float logit_soft_cap = 0.0f;      // 0: none
  /// What the file asks for in vain, a line each that begins with its keys.
  std::vector<std::string> warnings;
};

}  // namespace crossover::engine

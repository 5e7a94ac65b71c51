// A model's hyperparameters, as an architecture reads them from metadata, checked for sense.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/rope_config.h"
#include "kernels/rows.h"

namespace crossover::engine {

/// LayerConfig::rope of layers that know no positions but by what they see.
inline constexpr size_t kNoRope = ~size_t{0};

/// What may differ from layer to layer.
struct LayerConfig {
  size_t window = 0;  // tokens that a token sees, itself included; 0: all
  size_t rope = 0;    // index into ModelConfig::ropes, or kNoRope
};

/// What a feed-forward block does between its matrices, h = norm(x) (arXiv 2002.05202):
///   kSwiGlu, kGeGlu  silu or gelu(W_gate·h) ⊙ W_up·h
///   kClampedSwiGlu   gpt-oss's (kernels::ClampedUnit)
///   kGelu            gelu(W_up·h), and no gate
///   kReluSquared     max(W_up·h, 0)², and no gate
enum class Unit : uint8_t { kSwiGlu, kGeGlu, kClampedSwiGlu, kGelu, kReluSquared };

constexpr bool HasGate(Unit unit) { return unit != Unit::kGelu && unit != Unit::kReluSquared; }

/// A mixture of experts: a router's softmax chooses `used` of `count` feed-forward blocks for each
/// token, whose results are added up by its weights.
struct ExpertsConfig {
  size_t count = 0;  // 0: one block for all
  size_t used = 0;
  bool normed = true;  // weights of the chosen ones add up to 1
  float scale = 1.0f;  // of the weights
};

/// Queries of far positions are sharpened: q(p) times 1 + scale · ln(1 + ⌊p / length⌋).
struct QueryTemperature {
  double scale = 0;  // 0: none
  size_t length = 1;
};

struct ModelConfig {
  std::string architecture;  // "llama", "qwen2"
  std::string name;          // general.name, may be empty
  size_t layers = 0;
  size_t dim = 0;      // width of the residual stream
  size_t ffn_dim = 0;  // of one expert, where there are several
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
  kernels::NormKind norm = kernels::NormKind::kRms;
  Unit unit = Unit::kSwiGlu;
  ExpertsConfig experts;
  bool parallel_blocks = false;     // x += attention(x) + feed_forward(x)
  bool head_norms_rotated = false;  // norms of q and k come behind the rotation
  float embedding_scale = 1.0f;     // x = scale · E[token]
  float residual_scale = 1.0f;      // of what a block adds to the stream
  float logit_scale = 1.0f;         // logits = scale · W_out · x
  QueryTemperature temperature;
  float attention_scale = 1.0f;     // of q·k
  float attention_soft_cap = 0.0f;  // of the scaled q·k; 0: none
  float logit_soft_cap = 0.0f;      // 0: none
  /// What the file asks for in vain, a line each that begins with its keys.
  std::vector<std::string> warnings;
};

}  // namespace crossover::engine

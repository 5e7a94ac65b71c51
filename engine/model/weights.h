// A model's weights by role: views into the mapping, or into the packed copy.
#pragma once

#include <span>
#include <vector>

#include "kernels/matmul.h"

namespace crossover::engine {

/// A feed-forward block.
struct FeedForwardWeights {
  kernels::Matrix gate, up;                   // [ffn_dim][dim]; no gate: null
  kernels::Matrix down;                       // [dim][ffn_dim]
  std::span<const float> gate_bias, up_bias;  // [ffn_dim]
  std::span<const float> down_bias;           // [dim]
};

/// Weights of a norm of x, and what is added to it; without `weight` x is taken as it is.
struct NormWeights {
  std::span<const float> weight;
  std::span<const float> bias;

  bool empty() const { return weight.empty(); }
};

/// Spans that are empty, and matrices without data, stand for what a model does not have.
struct LayerWeights {
  NormWeights attention_norm;                     // [dim]
  kernels::Matrix q;                              // [heads · head_dim][dim]
  kernels::Matrix k, v;                           // [kv_heads · head_dim][dim]
  std::span<const float> q_bias, k_bias, v_bias;  // [rows of q, k, v]
  /// Of each head: [head_dim]; or of all heads together: [rows of q, k].
  std::span<const float> q_norm, k_norm;
  std::span<const float> sinks;               // [heads], kernels::AttentionArgs
  kernels::Matrix attention_out;              // [dim][heads · head_dim]
  std::span<const float> attention_out_bias;  // [dim]
  NormWeights attention_post_norm;            // [dim], of what is added to the stream
  NormWeights ffn_norm;                       // [dim]
  FeedForwardWeights ffn;                     // where there are no experts
  kernels::Matrix router;                     // [experts][dim]
  std::span<const float> router_bias;         // [experts]
  std::vector<FeedForwardWeights> experts;
  NormWeights ffn_post_norm;  // [dim], of what is added to the stream
};

/// Rotation of a kind of layer: angle(p, i) = p · base^(-2i/rotary_dim) / divisor[i].
struct RopeWeights {
  float base = 10000.0f;
  float magnitude = 1.0f;           // of cosines and sines
  std::span<const float> divisors;  // [rotary_dim / 2]; empty: all 1
  /// Long-RoPE's (arXiv 2402.13753): those of sequences that may exceed `original_context`.
  std::span<const float> long_divisors;
  size_t original_context = 0;

  std::span<const float> DivisorsFor(size_t context) const {
    return context > original_context && !long_divisors.empty() ? long_divisors : divisors;
  }
};

struct Weights {
  kernels::Matrix embedding;  // [vocab][dim]
  kernels::Matrix positions;  // [context][dim], added to the embedding; null: none
  std::vector<LayerWeights> layers;
  NormWeights output_norm;             // [dim]
  kernels::Matrix output;              // [vocab][dim]; the embedding if tied
  std::span<const float> output_bias;  // [vocab]
  std::vector<RopeWeights> ropes;      // as ModelConfig::ropes
};

}  // namespace crossover::engine

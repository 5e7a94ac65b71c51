// A model's weights by role: views into the mapping, or into the packed copy.
#pragma once

#include <span>
#include <vector>

#include "kernels/matmul.h"

namespace crossover::engine {

/// Spans that are empty stand for what a model does not have.
struct LayerWeights {
  std::span<const float> attention_norm;          // [dim]
  kernels::Matrix q;                              // [heads · head_dim][dim]
  kernels::Matrix k, v;                           // [kv_heads · head_dim][dim]
  std::span<const float> q_bias, k_bias, v_bias;  // [rows of q, k, v]
  std::span<const float> q_norm, k_norm;          // [head_dim], of each head
  kernels::Matrix attention_out;                  // [dim][heads · head_dim]
  std::span<const float> attention_out_bias;      // [dim]
  std::span<const float> attention_post_norm;     // [dim], of what is added to the stream
  std::span<const float> ffn_norm;                // [dim]
  kernels::Matrix gate, up;                       // [ffn_dim][dim]
  kernels::Matrix down;                           // [dim][ffn_dim]
  std::span<const float> ffn_post_norm;           // [dim], of what is added to the stream
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
  std::vector<LayerWeights> layers;
  std::span<const float> output_norm;  // [dim]
  kernels::Matrix output;              // [vocab][dim]; the embedding if tied
  std::span<const float> output_bias;  // [vocab]
  std::vector<RopeWeights> ropes;      // as ModelConfig::ropes
};

}  // namespace crossover::engine

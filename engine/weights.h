// A model's weights by role: views into the mapping, or into the packed copy.
#pragma once

#include <span>
#include <vector>

#include "kernels/matmul.h"

namespace crossover::engine {

struct LayerWeights {
  std::span<const float> attention_norm;          // [dim]
  kernels::Matrix q;                              // [heads · head_dim][dim]
  kernels::Matrix k, v;                           // [kv_heads · head_dim][dim]
  std::span<const float> q_bias, k_bias, v_bias;  // [rows of q, k, v]; empty: none
  kernels::Matrix attention_out;                  // [dim][heads · head_dim]
  std::span<const float> ffn_norm;                // [dim]
  kernels::Matrix gate, up;                       // [ffn_dim][dim]
  kernels::Matrix down;                           // [dim][ffn_dim]
};

struct Weights {
  kernels::Matrix embedding;  // [vocab][dim]
  std::vector<LayerWeights> layers;
  std::span<const float> output_norm;   // [dim]
  kernels::Matrix output;               // [vocab][dim]; the embedding if tied
  std::span<const float> rope_factors;  // [rotary_dim / 2], divisors; empty: all 1
};

}  // namespace crossover::engine

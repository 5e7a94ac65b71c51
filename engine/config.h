// A model's hyperparameters, as an architecture reads them from metadata, checked for sense.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/rows.h"

namespace crossover::engine {

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
  float rope_base = 10000.0f;
  float rope_scale =
      1.0f;  // linear scaling: positions are divided by it; the binder folds it into the factors
  kernels::RopeStyle rope_style = kernels::RopeStyle::kInterleaved;
};

}  // namespace crossover::engine

// A loaded model: configuration and weights, all views into the mapping. Immutable and shared.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "engine/config.h"
#include "engine/gguf.h"
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

class Model {
 public:
  /// Error(kUnsupported) for an unknown architecture lists the known ones; Error(kCorruptFile)
  /// names the tensor or key and the shapes.
  static std::shared_ptr<const Model> Load(const std::filesystem::path& path,
                                           LoadMode mode = LoadMode::kMmap);
  static std::shared_ptr<const Model> FromFile(std::shared_ptr<const GgufFile> file);

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  const GgufFile& file() const { return *file_; }
  uint64_t parameters() const;
  /// Bytes of weights that one decoded token reads (the embedding table counts one row).
  uint64_t bytes_per_token() const;

 private:
  Model() = default;

  std::shared_ptr<const GgufFile> file_;
  ModelConfig config_;
  Weights weights_;
  std::vector<std::vector<float>> converted_;  // one-dimensional tensors that were not float32
};

}  // namespace crossover::engine

// A loaded model: configuration and weights, all views into the mapping. Immutable and shared.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/model/config.h"
#include "engine/model/packed_weights.h"
#include "engine/model/weights.h"
#include "kernels/matmul.h"

namespace crossover::engine {

/// How matrices lie in memory while the model runs.
///   kMapped  as in the file: starts at once, needs no second copy
///   kPacked  16 rows side by side, made while loading, by all threads, in huge pages of their own;
///            formats without a packed form, and the embedding table, stay mapped
enum class WeightLayout { kMapped, kPacked };

struct ModelOptions {
  LoadMode load = LoadMode::kMmap;
  WeightLayout weights = WeightLayout::kMapped;
  size_t threads = 1;  // that load and pack
};

class Model {
 public:
  /// Error(kUnsupported) for an unknown architecture lists the known ones; Error(kCorruptFile)
  /// names the tensor or key and the shapes.
  static std::shared_ptr<const Model> Load(const std::filesystem::path& path,
                                           const ModelOptions& options = {});
  static std::shared_ptr<const Model> FromFile(std::shared_ptr<const GgufFile> file,
                                               const ModelOptions& options = {});

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  const GgufFile& file() const { return *file_; }
  uint64_t parameters() const;
  /// Bytes of weights that one decoded token reads (the embedding table counts one row).
  uint64_t bytes_per_token() const;
  /// Bytes of packed matrices, beside the file's own.
  uint64_t packed_bytes() const { return packed_.bytes(); }

 private:
  Model() = default;

  std::shared_ptr<const GgufFile> file_;
  ModelConfig config_;
  Weights weights_;
  std::vector<std::vector<float>> converted_;  // one-dimensional tensors that were not float32
  PackedWeights packed_;
};

}  // namespace crossover::engine

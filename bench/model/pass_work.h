// What a forward pass has to read and to compute, of a model that is there or only a shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/synth/synth_shapes.h"
#include "quant/recipe.h"

namespace crossover::bench {

/// A model's matrices and cache, in all.
struct ModelWork {
  std::string model = {};   // path or name of a shape
  std::string format = {};  // of a file: that of most weights; of a shape: the recipe
  bool quantized = false;   // most weights are
  double effective_bpw = 0;
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;  // of all tensors
  size_t layers = 0;
  double layer_bytes = 0;         // of all layers' matrices
  double layer_weights = 0;       // in them
  double output_bytes = 0;        // of the output matrix
  double output_weights = 0;      // in it
  double attention_width = 0;     // query heads · head size
  double kv_bytes_per_token = 0;  // of a float16 cache
};

ModelWork WorkOfShape(const engine::SynthShape& shape, const quant::Recipe& recipe);
/// Reads metadata alone. Error as engine::Model::Load.
ModelWork WorkOfFile(const std::filesystem::path& path);

struct PassWork {
  double bytes = 0;       // of weights, and of K and V
  double operations = 0;  // multiplications and additions
  double weights = 0;     // that are unpacked
  size_t layers = 0;
};

/// The matrix products alone: of `tokens`, the output for the last of them.
PassWork WorkOfProducts(const ModelWork& model, size_t tokens);
/// The same with attention: `tokens` of one sequence behind `depth` others in the cache. Attention
/// multiplies each query with the keys and the values before it: 4 · width · layers a pair.
PassWork WorkOfPass(const ModelWork& model, size_t tokens, size_t depth);

}  // namespace crossover::bench

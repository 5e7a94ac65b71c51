// What a file of a shape holds besides the weights' values: metadata, and each tensor's name, shape
// and distribution.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/synth/synth_shapes.h"
#include "quant/recipe.h"

namespace crossover::engine {

struct SynthTensor {
  std::string name;
  std::vector<uint64_t> shape;  // GGUF order: shape[0] is the row length
  double mean = 0;
  double deviation = 0;
  std::vector<float> values;  // instead of random ones, if not empty

  uint64_t elements() const;
};

/// All tensors, in the order in which `crossover quantize` writes them. Matrices are normal with
/// deviation 1/√(row length), so that a product keeps its input's size (as models are initialised);
/// norms lie around 1, biases around 0.
std::vector<SynthTensor> SynthTensors(const SynthShape& shape);

/// The keys that readers need, with a byte-level BPE vocabulary of the true size.
std::vector<std::pair<std::string, GgufValue>> SynthMetadata(const SynthShape& shape,
                                                             const quant::Recipe& recipe,
                                                             uint64_t seed);

}  // namespace crossover::engine

// What an architecture is to the loader: a name, how its hyperparameters are read, and which
// tensors make a layer. One file each; a new one adds its file and a row in architectures.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/model.h"
#include "engine/tensor_binder.h"

namespace crossover::engine {

struct Architecture {
  std::string_view name;  // general.architecture
  ModelConfig (*read_config)(const GgufFile& file);
  Weights (*bind)(TensorBinder& tensors, const ModelConfig& config);
};

/// All that can be run, in the order in which they are named to users.
std::span<const Architecture> Architectures();

extern const Architecture kLlama;
extern const Architecture kQwen2;

// What the files of decoder-only families have in common; an architecture starts from these and
// states only what is its own.

/// Reads the keys under `general.architecture`; checks ranges and divisibility. Error(kCorruptFile)
/// names the key, Error(kUnsupported) a kind of scaling that cannot be run.
ModelConfig ReadDecoderConfig(const GgufFile& file);

/// Embedding, output (tied if output.weight is absent), final norm, RoPE factors, no layers.
Weights BindEnds(TensorBinder& tensors, const ModelConfig& config);

/// Norms, separate q/k/v/output and gate/up/down of layer `index`; biases of q, k, v where present.
LayerWeights BindDecoderLayer(TensorBinder& tensors, const ModelConfig& config, size_t index);

}  // namespace crossover::engine

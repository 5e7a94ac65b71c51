// What an architecture is to the loader: a name, how its hyperparameters are read, and what its
// layers are made of. One file each; a new one adds its file and a row in architectures.cc.
#pragma once

#include <span>
#include <string_view>

#include "engine/arch/keys.h"
#include "engine/model/config.h"
#include "engine/model/tensor_binder.h"
#include "engine/model/weights.h"

namespace crossover::engine {

/// Where architectures differ in what a layer holds. What is found in every one is not listed;
/// biases of q, k, v, of attention's output and of the logits are taken where a file has them.
struct LayerParts {
  bool qkv_biases = false;      // must be there
  bool head_norms = false;      // RMS norms of each head of q and k, before the rotation
  bool post_norms = false;      // RMS norms of what a block adds to the stream
  bool fused_matrices = false;  // attn_qkv, and gate above up in ffn_up
};

struct Architecture {
  std::string_view name;  // general.architecture
  ModelConfig (*read_config)(const GgufFile& file);
  LayerParts parts;
};

/// All that can be run, in the order in which they are named to users.
std::span<const Architecture> Architectures();

extern const Architecture kLlama;
extern const Architecture kQwen2;
extern const Architecture kQwen3;
extern const Architecture kPhi3;
extern const Architecture kGemma2;
extern const Architecture kGemma3;

// What the files of decoder-only families have in common; an architecture starts from it and states
// only what is its own.

/// Reads the keys under `general.architecture`; checks ranges and divisibility. A window holds for
/// every layer, unless the file has a pattern. Error(kCorruptFile) names the key, kUnsupported what
/// cannot be run.
ModelConfig ReadDecoderConfig(const GgufFile& file, kernels::RopeStyle rope_style);

/// Gives layers a window of `window` tokens (0: none): those that the file's
/// attention.sliding_window_pattern names, or without that key all but every `period`th (0: all).
void SetWindows(const Keys& keys, size_t window, size_t period, ModelConfig& config);

/// Rotation: base, and the scaling that the file names (none, linear, YaRN, long-RoPE).
RopeConfig ReadRope(const Keys& keys, size_t context);

/// All weights. Error(kCorruptFile) for a tensor that is missing or of another shape,
/// Error(kUnsupported) for one that the architecture does not have.
Weights BindWeights(TensorBinder& tensors, const ModelConfig& config, const LayerParts& parts);

}  // namespace crossover::engine

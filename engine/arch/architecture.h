// What an architecture is to the loader: a name, how its hyperparameters are read, and what its
// layers are made of. One file each; a new one adds its file and a row in architectures.cc.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/arch/keys.h"
#include "engine/model/config.h"
#include "engine/model/tensor_binder.h"
#include "engine/model/weights.h"

namespace crossover::engine {

/// Where a block has norms: of what it reads, of what it adds to the stream, or both.
enum class NormPlaces : uint8_t { kBefore, kBehind, kBoth };

/// RMS norms of q and k: of each head, or of all heads together.
enum class HeadNorms : uint8_t { kNone, kEachHead, kWhole };

/// Where architectures differ in what a layer holds. What is found in every one is not listed;
/// biases of q, k, v, of attention's output, of the feed-forward matrices and of the logits are
/// taken where a file has them, and so are those of norms that are no RMS norms.
struct LayerParts {
  NormPlaces norms = NormPlaces::kBefore;
  std::string_view ffn_norm = "ffn_norm";  // name of the one before; empty: attention's norm counts
  HeadNorms head_norms = HeadNorms::kNone;
  // Biases that must be there, not only may.
  bool qkv_biases = false;
  bool output_biases = false;  // of attention
  bool ffn_biases = false;
  bool norm_biases = false;
  bool fused_matrices = false;  // attn_qkv, and gate above up in ffn_up
  bool sinks = false;           // attn_sinks
  bool positions = false;       // position_embd, added to the token's embedding
};

struct HfFamily;

struct Architecture {
  std::string_view name;  // general.architecture
  ModelConfig (*read_config)(const GgufFile& file);
  LayerParts parts;
  /// Keys of its own that read_config honours, beside those of ReadDecoderConfig.
  std::array<std::string_view, 4> keys = {};
};

/// All that can be run, in the order in which they are named to users.
std::span<const Architecture> Architectures();

extern const Architecture kLlama;
extern const Architecture kQwen2;
extern const Architecture kQwen3;
extern const Architecture kPhi3;
extern const Architecture kGemma2;
extern const Architecture kGemma3;
extern const Architecture kSmolLm3;
extern const Architecture kOlmo2;
extern const Architecture kGranite;
extern const Architecture kGraniteMoe;
extern const Architecture kMistral3;
extern const Architecture kExaone;
extern const Architecture kExaone4;
extern const Architecture kGlm4;
extern const Architecture kHunyuanDense;
extern const Architecture kErnie45;
extern const Architecture kInternLm2;
extern const Architecture kMiniCpm;
extern const Architecture kSeedOss;
extern const Architecture kArcee;
extern const Architecture kQwen3Moe;
extern const Architecture kGptOss;
extern const Architecture kGptNeox;
extern const Architecture kGpt2;
extern const Architecture kPhi2;
extern const Architecture kStableLm;
extern const Architecture kStarCoder2;
extern const Architecture kCommandR;
extern const Architecture kCohere2;
extern const Architecture kNemotron;

// How they are published, where that can be converted (engine/files/hf_family.h).
extern const HfFamily kLlamaHf;
extern const HfFamily kMistralHf;
extern const HfFamily kQwen2Hf;
extern const HfFamily kQwen3Hf;
extern const HfFamily kSmolLm3Hf;
extern const HfFamily kOlmo2Hf;
extern const HfFamily kOlmo3Hf;
extern const HfFamily kGraniteHf;
extern const HfFamily kMinistral3Hf;
extern const HfFamily kExaone4Hf;
extern const HfFamily kGlm4Hf;
extern const HfFamily kHunyuanHf;
extern const HfFamily kErnie45Hf;
extern const HfFamily kMiniCpmHf;
extern const HfFamily kSeedOssHf;
extern const HfFamily kArceeHf;
extern const HfFamily kPhiHf;
extern const HfFamily kStableLmHf;
extern const HfFamily kStarCoder2Hf;
extern const HfFamily kCohereHf;
extern const HfFamily kCohere2Hf;
extern const HfFamily kNemotronHf;

// What the files of decoder-only families have in common; an architecture starts from it and states
// only what is its own.

struct DecoderTraits {
  kernels::RopeStyle rope;
  kernels::NormKind norm = kernels::NormKind::kRms;
  bool experts = false;  // may have several feed-forward blocks
};

/// Reads the keys under `general.architecture`; checks ranges and divisibility. A window holds for
/// every layer, unless the file has a pattern. Error(kCorruptFile) names the key, kUnsupported what
/// cannot be run.
ModelConfig ReadDecoderConfig(const GgufFile& file, const DecoderTraits& traits);

/// embedding_scale, residual_scale and logit_scale, by which logits are divided; 0 and no key stand
/// for 1.
void ReadScales(const Keys& keys, ModelConfig& config);

/// Gives layers a window of `window` tokens (0: none): those that the file's
/// attention.sliding_window_pattern names, or without that key all but every `period`th (0: all).
void SetWindows(const Keys& keys, size_t window, size_t period, ModelConfig& config);

/// Rotation: base, and the scaling that the file names (none, linear, YaRN, long-RoPE).
RopeConfig ReadRope(const Keys& keys, size_t context);

/// All weights. Error(kCorruptFile) for a tensor that is missing or of another shape,
/// Error(kUnsupported) for one that the architecture does not have.
Weights BindWeights(TensorBinder& tensors, const ModelConfig& config, const LayerParts& parts);

}  // namespace crossover::engine

// A Hugging Face config.json in GGUF's terms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/files/hf_rope.h"
#include "engine/files/json_object.h"

namespace crossover::engine {

using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

GgufValue GgufUint(uint64_t value);
GgufValue GgufFloat(double value);
GgufValue GgufBool(bool value);
GgufValue GgufText(std::string value);

/// A number above 0, and `fallback` where the key is absent, if not 0.
double PositiveOf(const JsonObject& config, std::string_view key, double fallback = 0);

struct HfFamily;

/// What tensors and tokenizer need to know of a model.
struct HfConfig {
  const HfFamily* family = nullptr;
  uint64_t layers = 0;
  uint64_t dim = 0;
  uint64_t ffn_dim = 0;
  uint64_t heads = 0;
  uint64_t kv_heads = 0;
  uint64_t head_dim = 0;
  uint64_t vocab = 0;
  bool tied = false;  // no output matrix beside the embedding
  // Biases; nullopt: where there are some.
  std::optional<bool> qkv_bias;
  std::optional<bool> output_bias;  // of attention
  std::optional<bool> ffn_bias;
  uint64_t window = 0;              // of the layers that have one; 0: none has
  std::vector<bool> window_layers;  // [layers]
  HfRope rope;
  GgufMetadata own;                   // keys of the family, without the architecture's prefix
  std::vector<std::string> warnings;  // what is not honoured, a line each
};

/// Error(kUnsupported) for an architecture other than the known ones (listed), a scaling of
/// positions or a quantised checkpoint that GGUF cannot state, and for keys that ask for what
/// cannot be run; Error(kCorruptFile) names the key.
HfConfig ReadHfConfig(const JsonObject& config);

/// The keys from general.architecture to the architecture's own, as converters write them.
GgufMetadata HfConfigMetadata(const JsonObject& config, const HfConfig& facts,
                              const std::string& name);

}  // namespace crossover::engine

// A Hugging Face config.json in GGUF's terms.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf.h"
#include "engine/json_object.h"

namespace crossover::engine {

using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

GgufValue GgufUint(uint64_t value);
GgufValue GgufFloat(double value);
GgufValue GgufBool(bool value);
GgufValue GgufText(std::string value);

/// What tensors and tokenizer need to know of a model.
struct HfConfig {
  std::string architecture;  // GGUF's name: "llama" or "qwen2"
  uint64_t layers = 0;
  uint64_t dim = 0;
  uint64_t ffn_dim = 0;
  uint64_t heads = 0;
  uint64_t kv_heads = 0;
  uint64_t head_dim = 0;
  uint64_t vocab = 0;
  bool tied = false;                // no output matrix beside the embedding
  std::vector<float> rope_factors;  // [head_dim / 2], Llama 3's; empty: none
};

/// Error(kUnsupported) for an architecture other than the known ones (listed), a scaling of
/// positions or a quantised checkpoint that GGUF cannot state; Error(kCorruptFile) names the key.
HfConfig ReadHfConfig(const JsonObject& config);

/// The keys from general.architecture to the architecture's own, as converters write them.
GgufMetadata HfConfigMetadata(const JsonObject& config, const HfConfig& facts,
                              const std::string& name);

}  // namespace crossover::engine

// How positions become angles, in a Hugging Face config.json and in GGUF's terms.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/files/json_object.h"

namespace crossover::engine {

struct HfFamily;

struct HfRope {
  /// GGUF's keys without the architecture's prefix: rope.scaling.*, rope.freq_base.
  std::vector<std::pair<std::string, GgufValue>> keys;
  uint64_t rotary_dim = 0;  // of a head: the part that turns
  /// rope_freqs.weight [rotary_dim / 2]: scalings for which GGUF has no keys; empty: none.
  std::vector<float> factors;
};

/// Reads rope_theta, rope_scaling, rope_parameters and partial_rotary_factor as transformers does.
/// Words that it does not know are added to `warnings`. Error(kUnsupported) for a scaling that
/// cannot be stated, Error(kCorruptFile) names the key.
HfRope ReadHfRope(const JsonObject& config, const HfFamily& family, uint64_t head_dim,
                  std::vector<std::string>& warnings);

}  // namespace crossover::engine

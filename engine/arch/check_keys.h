// The metadata of a model that no architecture reads.
#pragma once

#include <span>
#include <string_view>

#include "engine/files/gguf.h"
#include "engine/model/config.h"

namespace crossover::engine {

/// Adds one line to `config.warnings` that names the keys under the architecture's prefix which
/// nothing here knows. Error(kUnsupported) names a key that is known to change what a model
/// computes, and that is not honoured, unless its value is the one that changes nothing. `own`:
/// keys that the architecture reads beside those of all; `config`: what it read.
void CheckKeys(const GgufFile& file, std::span<const std::string_view> own, ModelConfig& config);

}  // namespace crossover::engine

// The metadata of a model that no architecture reads.
#pragma once

#include "engine/files/gguf.h"
#include "engine/model/config.h"

namespace crossover::engine {

/// Adds one line to `config.warnings` that names the keys under the architecture's prefix which
/// nothing here knows. Error(kUnsupported) names a key that is known to change what a model
/// computes, and that is not honoured, unless its value is the one that changes nothing. `config`
/// is what the architecture read.
void CheckKeys(const GgufFile& file, ModelConfig& config);

}  // namespace crossover::engine

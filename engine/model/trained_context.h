// How long a text a model can make sense of.
#pragma once

#include <cstddef>

#include "engine/model/config.h"

namespace crossover::engine {

/// Tokens that the model was trained for, or was stretched to by what its rotation says: with a
/// factor, that many times the context of the first training, where every kind of rotation that the
/// model has is stretched. A pass over more of them computes, but what comes out is worth little.
size_t TrainedContext(const ModelConfig& config);

}  // namespace crossover::engine

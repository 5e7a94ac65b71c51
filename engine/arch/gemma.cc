#include "engine/arch/gemma.h"

#include <cmath>

namespace crossover::engine {

ModelConfig ReadGemmaConfig(const GgufFile& file, size_t layers_of_27b) {
  ModelConfig config = ReadDecoderConfig(file, {kernels::RopeStyle::kNeox});
  config.unit = Unit::kGeGlu;
  config.embedding_scale = std::sqrt(static_cast<float>(config.dim));
  if (config.layers == layers_of_27b && !Keys(file).Has("attention.scale")) {
    config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.dim / config.heads));
  }
  return config;
}

}  // namespace crossover::engine

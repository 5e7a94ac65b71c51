#include "engine/model/trained_context.h"

#include <algorithm>

namespace crossover::engine {

size_t TrainedContext(const ModelConfig& config) {
  // Far below what a double cannot hold: contexts and factors come from a file.
  double stretched = 1e15;
  for (const RopeConfig& rope : config.ropes) {
    stretched = std::min(stretched, static_cast<double>(rope.original_context) * rope.factor);
  }
  return std::max(config.context, static_cast<size_t>(stretched));
}

}  // namespace crossover::engine

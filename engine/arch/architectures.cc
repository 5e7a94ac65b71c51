#include <array>

#include "engine/arch/architecture.h"

namespace crossover::engine {

std::span<const Architecture> Architectures() {
  static const std::array kAll{kLlama, kQwen2};
  return kAll;
}

}  // namespace crossover::engine

#include <array>

#include "engine/arch/architecture.h"

namespace crossover::engine {

std::span<const Architecture> Architectures() {
  static const std::array kAll{kLlama, kQwen2, kQwen3, kPhi3, kGemma2, kGemma3};
  return kAll;
}

}  // namespace crossover::engine

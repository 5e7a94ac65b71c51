// Bits where they count: of each item one option, so that the losses add up to the least at a given
// size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace crossover::engine {

struct BitsOption {
  uint64_t bits = 0;
  double loss = 0;
};

struct BitsChoice {
  std::vector<size_t> option;  // of each item
  uint64_t bits = 0;
  double loss = 0;
};

/// By Lagrange's multiplier (Everett 1963): min Σ loss + λ·bits falls apart into items, and its
/// solution is the best of its own size; λ is searched until that is within `most_bits`. What is
/// left of them then buys the steps that lower the loss most a bit.
/// Precondition: every item has an option, and the smallest together fit.
BitsChoice ChooseBits(std::span<const std::vector<BitsOption>> items, uint64_t most_bits);

/// Σ of the smallest options.
uint64_t LeastBits(std::span<const std::vector<BitsOption>> items);

}  // namespace crossover::engine

// F16: 2 bytes a weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// IEEE half precision.
struct F16 {
  static constexpr std::string_view kName = "F16";
  static constexpr Format kFormat{1};
  static constexpr size_t kBlockWeights = 1;
  static constexpr bool kQuantized = false;

  struct Block {
    Half value;
  };
  static_assert(sizeof(Block) == 2 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

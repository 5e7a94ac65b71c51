// BF16: 2 bytes a weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// The upper half of a float.
struct BF16 {
  static constexpr std::string_view kName = "BF16";
  static constexpr Format kFormat{30};
  static constexpr size_t kBlockWeights = 1;
  static constexpr bool kQuantized = false;

  struct Block {
    BFloat16 value;
  };
  static_assert(sizeof(Block) == 2 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

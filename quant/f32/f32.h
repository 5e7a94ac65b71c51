// F32: 4 bytes a weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"

namespace crossover::quant {

/// The weight itself. Bytes, because a block is never aligned to more than two.
struct F32 {
  static constexpr std::string_view kName = "F32";
  static constexpr Format kFormat{0};
  static constexpr size_t kBlockWeights = 1;
  static constexpr bool kQuantized = false;

  struct Block {
    uint8_t bytes[4];  // little endian
  };
  static_assert(sizeof(Block) == 4 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

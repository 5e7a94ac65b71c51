// Q2_0: 18 bytes for 64 weights, 2.25 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 2 bits, made for models trained on three values: y = d·(q - 1), so -d, 0, d and 2d.
struct Q2_0 {
  static constexpr std::string_view kName = "Q2_0";
  static constexpr Format kFormat{42};
  static constexpr size_t kBlockWeights = 64;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    uint8_t qs[16];  // byte j: elements 4j to 4j + 3, the first in the lowest bits
  };
  static_assert(sizeof(Block) == 18 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

// Q4_1: 20 bytes for 32 weights, 5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 4 bits with a minimum: y = d·q + m.
struct Q4_1 {
  static constexpr std::string_view kName = "Q4_1";
  static constexpr Format kFormat{3};
  static constexpr size_t kBlockWeights = 32;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    Half m;
    uint8_t qs[16];  // byte j: element j in the low nibble, j + 16 in the high
  };
  static_assert(sizeof(Block) == 20 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

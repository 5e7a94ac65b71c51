// Q1_0: 18 bytes for 128 weights, 1.125 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/parts.h"

namespace crossover::quant {

/// A sign each: y = d or -d.
struct Q1_0 {
  static constexpr std::string_view kName = "Q1_0";
  static constexpr Format kFormat{41};
  static constexpr size_t kBlockWeights = 128;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 128;

  struct Block {
    Half d;
    uint8_t qs[16];  // bit i of byte j: element 8j + i, 1 for d
  };
  static_assert(sizeof(Block) == 18 && alignof(Block) <= 2);

  static void TakeApart(const Block& block, int8_t* codes, float* scales) {
    for (size_t j = 0; j < 16; ++j) {
      // Byte i keeps bit i alone, which then carries into the byte's top bit.
      const uint64_t one = block.qs[j] * kOneEach & 0x8040201008040201u;
      const uint64_t set = (one + 127 * kOneEach) >> 7 & kOneEach;
      WriteWord(MinusOneEach(set << 1), codes + 8 * j);
    }
    *scales = block.d.ToFloat();
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

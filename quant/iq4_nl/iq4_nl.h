// IQ4_NL: 18 bytes for 32 weights, 4.5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/iq4_table.h"

namespace crossover::quant {

/// 4-bit codes into the non-linear table: y = d·kIq4Levels[q].
struct IQ4_NL {
  static constexpr std::string_view kName = "IQ4_NL";
  static constexpr Format kFormat{20};
  static constexpr size_t kBlockWeights = 32;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    uint8_t qs[16];  // byte j: element j in the low nibble, j + 16 in the high
  };
  static_assert(sizeof(Block) == 18 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

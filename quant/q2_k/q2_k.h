// Q2_K: 84 bytes for 256 weights, 2.625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 2 bits, 16 sub-blocks of 16 with 4-bit scales and minima: y = d·scale·q - dmin·min.
/// Element e = 128h + 32j + l has bits 2j and 2j + 1 of qs[32h + l]; its sub-block is e / 16.
struct Q2_K {
  static constexpr std::string_view kName = "Q2_K";
  static constexpr Format kFormat{10};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;

  struct Block {
    uint8_t scales[16];  // low nibble: scale, high nibble: minimum
    uint8_t qs[64];
    Half d;
    Half dmin;
  };
  static_assert(sizeof(Block) == 84 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

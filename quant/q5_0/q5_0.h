// Q5_0: 22 bytes for 32 weights, 5.5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 5 bits, symmetric: y = d·(q - 16).
struct Q5_0 {
  static constexpr std::string_view kName = "Q5_0";
  static constexpr Format kFormat{6};
  static constexpr size_t kBlockWeights = 32;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    uint8_t qh[4];   // bit e (little endian): the fifth bit of element e
    uint8_t qs[16];  // byte j: low four bits of element j and, in the high nibble, j + 16
  };
  static_assert(sizeof(Block) == 22 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

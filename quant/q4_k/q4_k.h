// Q4_K: 144 bytes for 256 weights, 4.5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/scale_min.h"

namespace crossover::quant {

/// 4 bits, 8 sub-blocks of 32 with 6-bit scales and minima: y = d·scale·q - dmin·min.
/// Sub-block k lies in qs[32·(k / 2) …], in the low nibbles for even k, the high ones for odd.
struct Q4_K {
  static constexpr std::string_view kName = "Q4_K";
  static constexpr Format kFormat{12};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    Half dmin;
    uint8_t scales[12];  // see scale_min.h
    uint8_t qs[128];
  };
  static_assert(sizeof(Block) == 144 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

// IQ4_XS: 136 bytes for 256 weights, 4.25 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/iq4_table.h"

namespace crossover::quant {

/// 4-bit codes into the non-linear table, 8 sub-blocks of 32 with 6-bit scales:
/// y = d·(scale - 32)·kIq4Levels[q]. Sub-block k lies in qs[16k …] with the nibbles of IQ4_NL.
struct IQ4_XS {
  static constexpr std::string_view kName = "IQ4_XS";
  static constexpr Format kFormat{23};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    uint8_t scales_h[2];  // bits 2k and 2k + 1 (little endian): the high bits of scale k
    uint8_t scales_l[4];  // nibble k: the low four bits of scale k
    uint8_t qs[128];
  };
  static_assert(sizeof(Block) == 136 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

// IQ3_S: 110 bytes for 256 weights, 3.4375 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// Four magnitudes a code of nine bits, a sign each, a 4-bit scale for 32 weights:
/// y = d·(2·scale + 1)·(±grid).
struct IQ3_S {
  static constexpr std::string_view kName = "IQ3_S";
  static constexpr Format kFormat{21};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;
  static constexpr int kDown = 0;

  struct Block {
    Half d;
    uint8_t qs[64];     // of four weights: the low eight bits of the code
    uint8_t qh[8];      // bit i of byte k: the highest of code 8k + i
    uint8_t signs[32];  // of eight weights, the first in the lowest bit
    uint8_t scales[4];  // nibble k: scale k
  };
  static_assert(sizeof(Block) == 110 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t g = 0; g < 8; ++g) {
      const size_t high = block.qh[g];
      for (size_t i = 0; i < 4; ++i) {
        const uint8_t* q = block.qs + 8 * g + 2 * i;
        const size_t first = q[0] | (high >> (2 * i) & 1) << 8;
        const size_t second = q[1] | (high >> (2 * i + 1) & 1) << 8;
        const uint64_t magnitudes = kIq3SGrid[first] | uint64_t{kIq3SGrid[second]} << 32;
        WriteWord(WithSigns(magnitudes, kSignBytes[block.signs[4 * g + i]]),
                  codes + 32 * g + 8 * i);
      }
      scales[g] = static_cast<uint8_t>((block.scales[g / 2] >> (4 * (g % 2)) & 15) << 1 | 1);
    }
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

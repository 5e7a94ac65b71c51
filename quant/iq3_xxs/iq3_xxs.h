// IQ3_XXS: 98 bytes for 256 weights, 3.0625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// Four magnitudes a code of eight bits, seven signs for eight weights (the eighth makes minus
/// signs even), a 4-bit scale for 32 weights: y = d/4·(2·scale + 1)·(±grid).
struct IQ3_XXS {
  static constexpr std::string_view kName = "IQ3_XXS";
  static constexpr Format kFormat{18};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;
  static constexpr int kDown = 2;

  struct Block {
    Half d;
    uint8_t qs[64];     // a code for four weights
    uint8_t signs[32];  // words of 32 weights: seven signs for each eight, the scale on top
  };
  static_assert(sizeof(Block) == 98 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t g = 0; g < 8; ++g) {
      const auto rest = ReadAs<uint32_t>(block.signs + 4 * g);
      for (size_t i = 0; i < 4; ++i) {
        const uint8_t* q = block.qs + 8 * g + 2 * i;
        const uint64_t magnitudes = kIq3XxsGrid[q[0]] | uint64_t{kIq3XxsGrid[q[1]]} << 32;
        WriteWord(WithSigns(magnitudes, kEvenSignBytes[rest >> (7 * i) & 127]),
                  codes + 32 * g + 8 * i);
      }
      scales[g] = static_cast<uint8_t>(rest >> 28 << 1 | 1);
    }
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

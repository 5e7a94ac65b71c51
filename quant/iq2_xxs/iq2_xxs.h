// IQ2_XXS: 66 bytes for 256 weights, 2.0625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// Eight magnitudes a code of eight bits, seven signs each (the eighth makes minus signs even), a
/// 4-bit scale for 32 weights: y = d/8·(2·scale + 1)·(±grid).
struct IQ2_XXS {
  static constexpr std::string_view kName = "IQ2_XXS";
  static constexpr Format kFormat{16};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;
  static constexpr int kDown = 3;

  struct Block {
    Half d;
    // Eight bytes for 32 weights: four codes; then, as a word, seven signs for each of them and
    // the scale in the top four bits.
    uint8_t qs[64];
  };
  static_assert(sizeof(Block) == 66 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t g = 0; g < 8; ++g) {
      const uint8_t* q = block.qs + 8 * g;
      const auto rest = ReadAs<uint32_t>(q + 4);
      for (size_t i = 0; i < 4; ++i) {
        WriteWord(WithSigns(kIq2XxsGrid[q[i]], kEvenSignBytes[rest >> (7 * i) & 127]),
                  codes + 32 * g + 8 * i);
      }
      scales[g] = static_cast<uint8_t>(rest >> 28 << 1 | 1);
    }
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

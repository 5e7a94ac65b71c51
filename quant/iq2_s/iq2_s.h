// IQ2_S: 82 bytes for 256 weights, 2.5625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// Eight magnitudes a code of ten bits, eight signs each, a 4-bit scale for 16 weights:
/// y = d/8·(2·scale + 1)·(±grid).
struct IQ2_S {
  static constexpr std::string_view kName = "IQ2_S";
  static constexpr Format kFormat{22};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 16;
  static constexpr int kDown = 3;

  struct Block {
    Half d;
    uint8_t qs[32];     // of eight weights: the low eight bits of the code
    uint8_t signs[32];  // and a sign each, the first in the lowest bit
    uint8_t qh[8];      // two bits for each of four codes: their highest
    uint8_t scales[8];  // nibble k: scale k
  };
  static_assert(sizeof(Block) == 82 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t k = 0; k < 8; ++k) {
      const size_t high = block.qh[k];
      for (size_t i = 0; i < 4; ++i) {
        const size_t code = block.qs[4 * k + i] | (high >> (2 * i) & 3) << 8;
        WriteWord(WithSigns(kIq2SGrid[code], kSignBytes[block.signs[4 * k + i]]),
                  codes + 32 * k + 8 * i);
      }
      scales[2 * k] = static_cast<uint8_t>((block.scales[k] & 15) << 1 | 1);
      scales[2 * k + 1] = static_cast<uint8_t>(block.scales[k] >> 4 << 1 | 1);
    }
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

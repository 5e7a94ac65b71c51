// IQ2_XS: 74 bytes for 256 weights, 2.3125 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// Eight magnitudes a code of nine bits, seven signs each (the eighth makes minus signs even), a
/// 4-bit scale for 16 weights: y = d/8·(2·scale + 1)·(±grid).
struct IQ2_XS {
  static constexpr std::string_view kName = "IQ2_XS";
  static constexpr Format kFormat{17};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 16;
  static constexpr int kDown = 3;

  struct Block {
    Half d;
    uint8_t qs[64];     // 16 bits, little endian, for eight weights: nine of code, seven of signs
    uint8_t scales[8];  // nibble k: scale k
  };
  static_assert(sizeof(Block) == 74 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t i = 0; i < 32; ++i) {
      const auto q = ReadAs<uint16_t>(block.qs + 2 * i);
      WriteWord(WithSigns(kIq2XsGrid[q & 511], kEvenSignBytes[q >> 9]), codes + 8 * i);
    }
    for (size_t k = 0; k < 8; ++k) {
      scales[2 * k] = static_cast<uint8_t>((block.scales[k] & 15) << 1 | 1);
      scales[2 * k + 1] = static_cast<uint8_t>(block.scales[k] >> 4 << 1 | 1);
    }
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

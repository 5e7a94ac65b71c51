// TQ2_0: 66 bytes for 256 weights, 2.0625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/parts.h"

namespace crossover::quant {

/// Three values, two bits each: y = d·(q - 1).
/// Element e = 128h + 32j + l has bits 2j and 2j + 1 of qs[32h + l].
struct TQ2_0 {
  static constexpr std::string_view kName = "TQ2_0";
  static constexpr Format kFormat{35};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;
  static constexpr int kDown = 0;

  struct Block {
    uint8_t qs[64];
    Half d;
  };
  static_assert(sizeof(Block) == 66 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t g = 0; g < 8; ++g) {
      for (size_t i = 0; i < 32; i += 8) {
        const uint64_t word = ReadAs<uint64_t>(block.qs + 32 * (g / 4) + i) >> (2 * (g % 4));
        WriteWord(MinusOneEach(word & 3 * kOneEach), codes + 32 * g + i);
      }
      scales[g] = 1;
    }
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

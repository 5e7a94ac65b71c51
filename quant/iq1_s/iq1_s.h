// IQ1_S: 50 bytes for 256 weights, 1.5625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// Eight of -1, 0 and 1 a code of eleven bits, all of 32 weights shifted by an eighth up or down, a
/// 3-bit scale for them: y = d/8·(2·scale + 1)·(8·grid ± 1).
struct IQ1_S {
  static constexpr std::string_view kName = "IQ1_S";
  static constexpr Format kFormat{19};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;
  static constexpr int kDown = 3;

  struct Block {
    Half d;
    uint8_t qs[32];  // of eight weights: the low eight bits of the code
    // 16 bits, little endian, for 32 weights: three bits for each of four codes, the highest; the
    // scale; and whether the shift is down.
    uint8_t qh[16];
  };
  static_assert(sizeof(Block) == 50 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t g = 0; g < 8; ++g) {
      const size_t high = ReadAs<uint16_t>(block.qh + 2 * g);
      for (size_t i = 0; i < 4; ++i) {
        const uint64_t grid = kIq1Grid[block.qs[4 * g + i] | (high >> (3 * i) & 7) << 8];
        WriteWord(Shifted(grid, (high >> 15) != 0), codes + 32 * g + 8 * i);
      }
      scales[g] = static_cast<uint8_t>((high >> 12 & 7) << 1 | 1);
    }
    return block.d;
  }

  /// Bytes -8, 0 and 8, one up or one down: no branch, as no CPU could guess it.
  static uint64_t Shifted(uint64_t grid, bool down) {
    const uint64_t up = grid | kOneEach;
    return up ^ ((up ^ MinusOneEach(grid)) & (0 - uint64_t{down}));
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

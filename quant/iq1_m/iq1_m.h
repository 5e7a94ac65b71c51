// IQ1_M: 56 bytes for 256 weights, 1.75 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/half.h"
#include "quant/iq1_s/iq1_s.h"

namespace crossover::quant {

/// IQ1_S with a shift for each eight weights and a 3-bit scale for 16:
/// y = d/8·(2·scale + 1)·(8·grid ± 1).
struct IQ1_M {
  static constexpr std::string_view kName = "IQ1_M";
  static constexpr Format kFormat{29};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 16;
  static constexpr int kDown = 3;

  struct Block {
    uint8_t qs[32];  // of eight weights: the low eight bits of the code
    uint8_t qh[16];  // nibble i: the highest three bits of code i, and whether its shift is down
    // Four times 16 bits, little endian: four scales, and four bits of d, the lowest first.
    uint8_t scales[8];
  };
  static_assert(sizeof(Block) == 56 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    for (size_t i = 0; i < 32; ++i) {
      const size_t high = block.qh[i / 2] >> (4 * (i % 2));
      const uint64_t grid = kIq1Grid[block.qs[i] | (high & 7) << 8];
      WriteWord(IQ1_S::Shifted(grid, (high & 8) != 0), codes + 8 * i);
    }
    uint16_t d = 0;
    for (size_t k = 0; k < 4; ++k) {
      const auto four = ReadAs<uint16_t>(block.scales + 2 * k);
      for (size_t j = 0; j < 4; ++j) {
        scales[4 * k + j] = static_cast<uint8_t>((four >> (3 * j) & 7) << 1 | 1);
      }
      d = static_cast<uint16_t>(d | four >> 12 << (4 * k));
    }
    return {d};
  }

  static void SetFactor(Half d, Block& block) {
    for (size_t k = 0; k < 4; ++k) {
      uint8_t& top = block.scales[2 * k + 1];
      top = static_cast<uint8_t>((top & 15) | (d.bits >> (4 * k) & 15) << 4);
    }
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

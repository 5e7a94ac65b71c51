// MXFP4: 17 bytes for 32 weights, 4.25 bits per weight.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/mx4_levels.h"
#include "quant/parts.h"

namespace crossover::quant {

/// The microscaling format of OCP: 4-bit floats under a power of two. y = 2^(e - 128)·level, the
/// levels being twice the floats.
struct MXFP4 {
  static constexpr std::string_view kName = "MXFP4";
  static constexpr Format kFormat{39};
  static constexpr size_t kBlockWeights = 32;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;

  struct Block {
    uint8_t e;
    uint8_t qs[16];  // byte j: element j in the low nibble, j + 16 in the high
  };
  static_assert(sizeof(Block) == 17 && alignof(Block) <= 2);

  static void TakeApart(const Block& block, int8_t* codes, float* scales) {
    for (size_t j = 0; j < 16; ++j) {
      codes[j] = kMx4Levels[block.qs[j] & 15];
      codes[j + 16] = kMx4Levels[block.qs[j] >> 4];
    }
    *scales = Factor(block.e);
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);

  /// 2^(e - 128): the least two are denormal.
  static float Factor(uint8_t e) {
    return std::bit_cast<float>(e < 2 ? uint32_t{0x00200000} << e : uint32_t{e - 1u} << 23);
  }
};

}  // namespace crossover::quant

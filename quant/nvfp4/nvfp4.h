// NVFP4: 36 bytes for 64 weights, 4.5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/mx4_levels.h"
#include "quant/parts.h"

namespace crossover::quant {

/// 4-bit floats as in MXFP4, 8-bit float scales (4 bits of exponent, 3 of mantissa, no sign) for 16
/// weights: y = scale/2·level. Files keep a further factor of the whole matrix in a tensor of its
/// own, NAME.scale.
struct NVFP4 {
  static constexpr std::string_view kName = "NVFP4";
  static constexpr Format kFormat{40};
  static constexpr size_t kBlockWeights = 64;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 16;

  struct Block {
    uint8_t d[4];
    uint8_t qs[32];  // eight bytes for 16 weights: element j in the low nibble, j + 8 in the high
  };
  static_assert(sizeof(Block) == 36 && alignof(Block) <= 2);

  static void TakeApart(const Block& block, int8_t* codes, float* scales) {
    for (size_t g = 0; g < 4; ++g) {
      for (size_t j = 0; j < 8; ++j) {
        const uint8_t q = block.qs[8 * g + j];
        codes[16 * g + j] = kMx4Levels[q & 15];
        codes[16 * g + 8 + j] = kMx4Levels[q >> 4];
      }
      scales[g] = HalfScale(block.d[g]);
    }
  }

  /// Half of what an 8-bit float stands for; its one NaN counts nothing.
  static float HalfScale(uint8_t bits) {
    const int exponent = bits >> 3 & 15;
    const int mantissa = bits & 7;
    if (bits == 0x7f) return 0.0f;
    const int whole = exponent == 0 ? mantissa : (8 + mantissa) << (exponent - 1);
    return static_cast<float>(whole) * 0x1p-10f;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

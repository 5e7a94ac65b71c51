// Q3_K: 110 bytes for 256 weights, 3.4375 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 3 bits, 16 sub-blocks of 16 with 6-bit scales: y = d·(scale - 32)·(low + 4·high - 4).
/// Element e = 128h + 32j + l has its low bits at 2j of qs[32h + l], its high bit at e / 32 of
/// hmask[e % 32]; its sub-block is e / 16.
struct Q3_K {
  static constexpr std::string_view kName = "Q3_K";
  static constexpr Format kFormat{11};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;

  struct Block {
    uint8_t hmask[32];
    uint8_t qs[64];
    // Scale k: low nibbles of bytes 0-7 are k = 0-7, high nibbles k = 8-15; byte 8 + k % 4 has the
    // two high bits at 2·(k / 4).
    uint8_t scales[12];
    Half d;
  };
  static_assert(sizeof(Block) == 110 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

// Q6_K: 210 bytes for 256 weights, 6.5625 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 6 bits, symmetric, 16 sub-blocks of 16 with 8-bit scales: y = d·scale·(q - 32).
/// Element e = 128h + 32j + l has its low bits in ql[64h + 32·(j & 1) + l] (low nibble for j < 2,
/// high for the rest), its high two bits at 2j of qh[32h + l]; its sub-block is e / 16.
struct Q6_K {
  static constexpr std::string_view kName = "Q6_K";
  static constexpr Format kFormat{14};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;

  struct Block {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    Half d;
  };
  static_assert(sizeof(Block) == 210 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

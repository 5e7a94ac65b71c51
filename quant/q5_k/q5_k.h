// Q5_K: 176 bytes for 256 weights, 5.5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/scale_min.h"

namespace crossover::quant {

/// 5 bits, 8 sub-blocks of 32 with 6-bit scales and minima: y = d·scale·q - dmin·min.
/// Low four bits as in Q4_K; bit k of qh[e % 32] is the fifth bit in sub-block k.
struct Q5_K {
  static constexpr std::string_view kName = "Q5_K";
  static constexpr Format kFormat{13};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    Half dmin;
    uint8_t scales[12];  // see scale_min.h
    uint8_t qh[32];
    uint8_t qs[128];
  };
  static_assert(sizeof(Block) == 176 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

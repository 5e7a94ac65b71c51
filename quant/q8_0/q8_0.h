// Q8_0: 34 bytes for 32 weights, 8.5 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"

namespace crossover::quant {

/// 8 bits, symmetric: y = d·q.
struct Q8_0 {
  static constexpr std::string_view kName = "Q8_0";
  static constexpr Format kFormat{8};
  static constexpr size_t kBlockWeights = 32;
  static constexpr bool kQuantized = true;

  struct Block {
    Half d;
    int8_t qs[32];
  };
  static_assert(sizeof(Block) == 34 && alignof(Block) <= 2);

  static void Decode(const Block& block, float* out);
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);
};

}  // namespace crossover::quant

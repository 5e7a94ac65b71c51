// TQ1_0: 54 bytes for 256 weights, 1.6875 bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/format.h"
#include "quant/half.h"
#include "quant/parts.h"

namespace crossover::quant {

/// Three values, five to a byte: y = d·(q - 1), q a digit in base 3. A byte is the fraction
/// 0.q₀q₁q₂q₃q₄ of base 3 in 256ths, rounded up: multiplied by a power of three, modulo 256, it
/// has the digits behind that place left, and three times that, above its eight bits, the first of
/// them.
struct TQ1_0 {
  static constexpr std::string_view kName = "TQ1_0";
  static constexpr Format kFormat{34};
  static constexpr size_t kBlockWeights = 256;
  static constexpr bool kQuantized = true;
  static constexpr size_t kGroup = 32;
  static constexpr int kDown = 0;

  struct Block {
    uint8_t qs[48];  // digit n of byte l: element 32n + l below 32, 160 + 16n + (l - 32) above
    uint8_t qh[4];   // digit n (of four) of byte l: element 240 + 4n + l
    Half d;
  };
  static_assert(sizeof(Block) == 54 && alignof(Block) <= 2);

  static Half TakeApart(const Block& block, int8_t* codes, uint8_t* scales) {
    uint8_t power = 1;  // of three
    for (size_t n = 0; n < 5; ++n, power = static_cast<uint8_t>(3 * power)) {
      Digits<32>(block.qs, power, codes + 32 * n);
      Digits<16>(block.qs + 32, power, codes + 160 + 16 * n);
      if (n < 4) Digits<4>(block.qh, power, codes + 240 + 4 * n);
    }
    for (size_t g = 0; g < kBlockWeights / kGroup; ++g) scales[g] = 1;
    return block.d;
  }

  static void EncodeRow(std::span<const float> row, const float* importance, Block* out);

 private:
  template <size_t kCount>
  static void Digits(const uint8_t* bytes, uint8_t power, int8_t* codes) {
    for (size_t i = 0; i < kCount; ++i) {
      const unsigned left = static_cast<uint8_t>(bytes[i] * power);
      codes[i] = static_cast<int8_t>(static_cast<int>(3 * left >> 8) - 1);
    }
  }
};

}  // namespace crossover::quant

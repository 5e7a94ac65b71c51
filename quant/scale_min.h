// The 6-bit scales and minima of Q4_K and Q5_K: eight pairs in twelve bytes.
//
//   bytes 0-3:  scales 0-3,  top two bits: high bits of scales 4-7
//   bytes 4-7:  minima 0-3,  top two bits: high bits of minima 4-7
//   bytes 8-11: low four bits of scales 4-7 (low nibble) and of minima 4-7 (high nibble)
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossover::quant {

struct ScaleMin {
  uint8_t scale;
  uint8_t min;
};

/// `k` in 0..7.
constexpr ScaleMin UnpackScaleMin(const uint8_t packed[12], size_t k) {
  if (k < 4) {
    return {static_cast<uint8_t>(packed[k] & 63), static_cast<uint8_t>(packed[k + 4] & 63)};
  }
  return {static_cast<uint8_t>((packed[k + 4] & 15) | (packed[k - 4] >> 6) << 4),
          static_cast<uint8_t>((packed[k + 4] >> 4) | (packed[k] >> 6) << 4)};
}

/// All values below 64.
constexpr void PackScaleMins(const uint8_t scales[8], const uint8_t mins[8], uint8_t packed[12]) {
  for (size_t k = 0; k < 4; ++k) {
    packed[k] = static_cast<uint8_t>(scales[k] | (scales[k + 4] >> 4) << 6);
    packed[k + 4] = static_cast<uint8_t>(mins[k] | (mins[k + 4] >> 4) << 6);
    packed[k + 8] = static_cast<uint8_t>((scales[k + 4] & 15) | (mins[k + 4] & 15) << 4);
  }
}

}  // namespace crossover::quant

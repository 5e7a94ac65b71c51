#include "quant/f32/f32.h"

#include <cstring>

namespace crossover::quant {

void F32::Decode(const Block& block, float* out) { std::memcpy(out, block.bytes, sizeof(float)); }

void F32::EncodeRow(std::span<const float> row, const float*, Block* out) {
  std::memcpy(out, row.data(), row.size_bytes());
}

}  // namespace crossover::quant

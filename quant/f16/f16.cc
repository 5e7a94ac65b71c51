#include "quant/f16/f16.h"

namespace crossover::quant {

void F16::Decode(const Block& block, float* out) { *out = block.value.ToFloat(); }

void F16::EncodeRow(std::span<const float> row, const float*, Block* out) {
  for (const float x : row) (out++)->value = Half::FromFloat(x);
}

}  // namespace crossover::quant

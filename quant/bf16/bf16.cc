#include "quant/bf16/bf16.h"

namespace crossover::quant {

void BF16::Decode(const Block& block, float* out) { *out = block.value.ToFloat(); }

void BF16::EncodeRow(std::span<const float> row, const float*, Block* out) {
  for (const float x : row) (out++)->value = BFloat16::FromFloat(x);
}

}  // namespace crossover::quant

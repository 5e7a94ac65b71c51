#include "quant/q4_1/q4_1.h"

#include "quant/pack.h"
#include "quant/plain_block.h"

namespace crossover::quant {
namespace {

void Store(float d, float min, const uint8_t codes[32], Q4_1::Block& out) {
  out.d = Half::FromFloat(d);
  out.m = Half::FromFloat(min);
  PackNibbles(codes, out.qs);
}

}  // namespace

void Q4_1::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  const float min = block.m.ToFloat();
  uint8_t codes[32];
  UnpackNibbles(block.qs, codes);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(codes[i]) + min;
}

void Q4_1::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  EncodeAffineRow<Block, Store>(row, importance, 15.0f, out);
}

}  // namespace crossover::quant

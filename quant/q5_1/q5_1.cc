#include "quant/q5_1/q5_1.h"

#include "quant/pack.h"
#include "quant/plain_block.h"

namespace crossover::quant {
namespace {

void Store(float d, float min, const uint8_t codes[32], Q5_1::Block& out) {
  out.d = Half::FromFloat(d);
  out.m = Half::FromFloat(min);
  PackNibbles(codes, out.qs);
  PackFifthBits(codes, out.qh);
}

}  // namespace

void Q5_1::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  const float min = block.m.ToFloat();
  uint8_t codes[32];
  UnpackFiveBits(block.qs, block.qh, codes);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(codes[i]) + min;
}

void Q5_1::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  EncodeAffineRow<Block, Store>(row, importance, 31.0f, out);
}

}  // namespace crossover::quant

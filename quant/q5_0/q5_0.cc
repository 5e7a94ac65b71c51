#include "quant/q5_0/q5_0.h"

#include "quant/pack.h"
#include "quant/plain_block.h"

namespace crossover::quant {
namespace {

void Store(float d, const uint8_t codes[32], Q5_0::Block& out) {
  out.d = Half::FromFloat(d);
  PackNibbles(codes, out.qs);
  PackFifthBits(codes, out.qh);
}

}  // namespace

void Q5_0::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  uint8_t codes[32];
  UnpackFiveBits(block.qs, block.qh, codes);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(codes[i] - 16);
}

void Q5_0::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  EncodeSignedRow<Block, Store>(row, importance, 16.0f, out);
}

}  // namespace crossover::quant

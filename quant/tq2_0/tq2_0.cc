#include "quant/tq2_0/tq2_0.h"

#include "quant/pack.h"
#include "quant/ternary.h"

namespace crossover::quant {

void TQ2_0::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  ForEachTernaryBlock(row, importance, [&](float d, const uint8_t* codes) {
    PackTwoBits(codes, 0, out->qs);
    out++->d = Half::FromFloat(d);
  });
}

}  // namespace crossover::quant

#include "quant/tq1_0/tq1_0.h"

#include "quant/ternary.h"

namespace crossover::quant {
namespace {

/// The digits of each byte lie kCount codes apart; a fifth that is not there is zero.
template <size_t kCount, size_t kDigits>
void PackDigits(const uint8_t* codes, uint8_t* out) {
  for (size_t i = 0; i < kCount; ++i) {
    unsigned number = 0;
    for (size_t n = 0; n < 5; ++n) number = 3 * number + (n < kDigits ? codes[kCount * n + i] : 0);
    out[i] = static_cast<uint8_t>((number * 256 + 242) / 243);
  }
}

}  // namespace

void TQ1_0::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  ForEachTernaryBlock(row, importance, [&](float d, const uint8_t* codes) {
    PackDigits<32, 5>(codes, out->qs);
    PackDigits<16, 5>(codes + 160, out->qs + 32);
    PackDigits<4, 4>(codes + 240, out->qh);
    out++->d = Half::FromFloat(d);
  });
}

}  // namespace crossover::quant

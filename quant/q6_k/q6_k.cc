#include "quant/q6_k/q6_k.h"

#include <algorithm>

#include "quant/pack.h"
#include "quant/superblock.h"

namespace crossover::quant {
namespace {

constexpr size_t kLength = 16;  // of a sub-block
constexpr size_t kSubBlocks = kSuperBlock / kLength;
constexpr float kMaxCode = 32.0f;
constexpr float kMaxScale = 128.0f;

/// Search C for every sub-block. `codes` stay only where the quantised scale is zero.
std::array<float, kSubBlocks> Fit(const float* x, const float* weights, uint8_t* codes) {
  std::array<float, kSubBlocks> fitted;
  for (size_t k = 0; k < kSubBlocks; k += kLanes) {
    const auto lanes = LoadLanes<Lanes, kLength>(x + k * kLength);
    const auto fit =
        SearchSigned(lanes, LoadLanes<Lanes, kLength>(weights + k * kLength), kMaxCode);
    StoreLanes(fit.scale, &fitted[k]);
    for (size_t i = 0; i < kLength; ++i) {
      const Lanes code = SignedCode(lanes[i], fit, kMaxCode);
      for (size_t s = 0; s < kLanes; ++s) {
        codes[(k + s) * kLength + i] = static_cast<uint8_t>(code[s]);
      }
    }
  }
  return fitted;
}

/// The nibbles of 128 codes: those of the first 64 low, of the others high.
void PackLowBits(const uint8_t codes[kSuperBlock], uint8_t out[kSuperBlock / 2]) {
  for (size_t h = 0; h < 2; ++h) {
    const uint8_t* half = codes + 128 * h;
    for (size_t l = 0; l < 64; ++l) {
      out[64 * h + l] = static_cast<uint8_t>((half[l] & 15) | (half[64 + l] & 15) << 4);
    }
  }
}

}  // namespace

void Q6_K::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  for (size_t e = 0; e < kBlockWeights; ++e) {
    const uint8_t packed = block.ql[e / 128 * 64 + e % 64];
    const int low = e % 128 < 64 ? packed & 15 : packed >> 4;
    const int code = low + 16 * TwoBits(block.qh, e) - 32;
    out[e] = d * static_cast<float>(block.scales[e / kLength]) * static_cast<float>(code);
  }
}

void Q6_K::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  float squares[kSuperBlock];
  uint8_t codes[kSuperBlock];
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlockWeights);
    // At 64 levels the importance itself does best as the weight.
    if (importance == nullptr) SquareWeights(x, squares);
    const auto fitted = Fit(x.data(), importance == nullptr ? squares : importance + begin, codes);
    const float maximum = SignedMaximum(fitted);
    if (!(std::abs(maximum) >= kZeroThreshold)) {
      *out = {};
      continue;
    }
    const float inverse = -kMaxScale / maximum;
    out->d = Half::FromFloat(1.0f / inverse);
    for (size_t k = 0; k < kSubBlocks; ++k) {
      out->scales[k] =
          static_cast<int8_t>(RoundClamped(inverse * fitted[k], -kMaxScale, kMaxScale - 1.0f));
      const float scale = out->d.ToFloat() * static_cast<float>(out->scales[k]);
      if (scale == 0.0f) continue;
      RequantizeSigned<kLength>(&x[k * kLength], scale, kMaxCode, &codes[k * kLength]);
    }
    PackLowBits(codes, out->ql);
    PackTwoBits(codes, 4, out->qh);
  }
}

}  // namespace crossover::quant

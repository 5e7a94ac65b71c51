#include "quant/q3_k/q3_k.h"

#include "quant/pack.h"
#include "quant/superblock.h"

namespace crossover::quant {
namespace {

constexpr size_t kLength = 16;  // of a sub-block
constexpr size_t kSubBlocks = kSuperBlock / kLength;
constexpr float kMaxCode = 4.0f;
constexpr float kMaxScale = 32.0f;

using Codes = std::array<uint8_t, kSuperBlock>;
using Scales = std::array<uint8_t, kSubBlocks>;  // stored values, 0 … 63

uint8_t Scale(const uint8_t packed[12], size_t k) {
  const unsigned low = k < 8 ? packed[k] & 15u : packed[k - 8] >> 4;
  return static_cast<uint8_t>(low | ((packed[8 + k % 4] >> (2 * (k / 4))) & 3u) << 4);
}

void PackScales(const Scales& scales, uint8_t packed[12]) {
  for (size_t k = 0; k < 8; ++k) {
    packed[k] = static_cast<uint8_t>((scales[k] & 15) | (scales[k + 8] & 15) << 4);
  }
  for (size_t k = 0; k < 4; ++k) {
    unsigned bits = 0;
    for (size_t j = 0; j < 4; ++j) bits |= (scales[4 * j + k] >> 4) << (2 * j);
    packed[8 + k] = static_cast<uint8_t>(bits);
  }
}

void StoreCodes(const std::array<Lanes, kLength>& lanes, uint8_t* codes) {
  for (size_t s = 0; s < kLanes; ++s) {
    for (size_t i = 0; i < kLength; ++i) {
      codes[s * kLength + i] = static_cast<uint8_t>(lanes[i][s]);
    }
  }
}

/// Without importance: search B, and the largest scale at -32.
float FitByMagnitude(const float* x, Scales& scales, Codes& codes) {
  std::array<float, kSubBlocks> fitted;
  for (size_t k = 0; k < kSubBlocks; k += kLanes) {
    std::array<Lanes, kLength> q;
    StoreLanes(SearchSignedSweep(LoadLanes<Lanes, kLength>(x + k * kLength), kMaxCode, q),
               &fitted[k]);
    StoreCodes(q, &codes[k * kLength]);
  }
  const float maximum = SignedMaximum(fitted);
  if (maximum == 0.0f) {
    scales.fill(0);
    return 0.0f;
  }
  const float inverse = -kMaxScale / maximum;
  for (size_t k = 0; k < kSubBlocks; ++k) {
    scales[k] = static_cast<uint8_t>(
        RoundClamped(inverse * fitted[k], -kMaxScale, kMaxScale - 1.0f) + kMaxScale);
  }
  return 1.0f / inverse;
}

/// With importance: search C for the sub-blocks, and again for their scales.
float FitByImportance(const float* x, const float* weights, Scales& scales, Codes& codes) {
  std::array<float, kSubBlocks> fitted;
  for (size_t k = 0; k < kSubBlocks; k += kLanes) {
    auto lanes = LoadLanes<Lanes, kLength>(x + k * kLength);
    const auto fit =
        SearchSigned(lanes, LoadLanes<Lanes, kLength>(weights + k * kLength), kMaxCode);
    StoreLanes(fit.scale, &fitted[k]);
    for (Lanes& value : lanes) value = SignedCode(value, fit, kMaxCode);
    StoreCodes(lanes, &codes[k * kLength]);
  }
  const auto fit = SearchSigned(fitted, SumEach<kLength>(weights), kMaxScale);
  for (size_t k = 0; k < kSubBlocks; ++k) {
    scales[k] = static_cast<uint8_t>(SignedCode(fitted[k], fit, kMaxScale));
  }
  return fit.scale;
}

}  // namespace

void Q3_K::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  for (size_t e = 0; e < kBlockWeights; ++e) {
    const int high = (block.hmask[e % 32] >> (e / 32)) & 1;
    const int code = TwoBits(block.qs, e) + 4 * high - 4;
    const int scale = Scale(block.scales, e / kLength) - 32;
    out[e] = d * static_cast<float>(scale) * static_cast<float>(code);
  }
}

void Q3_K::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  float weights[kSuperBlock];
  Scales scales;
  Codes codes;
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlockWeights);
    float d;
    if (importance != nullptr) {
      ImportanceWeights(x, importance + begin, 2.0f * MeanSquare(x), weights);
      d = FitByImportance(x.data(), weights, scales, codes);
    } else {
      d = FitByMagnitude(x.data(), scales, codes);
    }
    out->d = Half::FromFloat(d);
    for (size_t k = 0; k < kSubBlocks; ++k) {
      const float scale = out->d.ToFloat() * (static_cast<float>(scales[k]) - kMaxScale);
      if (scale == 0.0f) continue;
      RequantizeSigned<kLength>(&x[k * kLength], scale, kMaxCode, &codes[k * kLength]);
    }
    PackScales(scales, out->scales);
    PackTwoBits(codes.data(), 0, out->qs);
    for (size_t l = 0; l < 32; ++l) {
      unsigned bits = 0;
      for (size_t j = 0; j < 8; ++j) bits |= (codes[32 * j + l] >> 2) << j;
      out->hmask[l] = static_cast<uint8_t>(bits);
    }
  }
}

}  // namespace crossover::quant

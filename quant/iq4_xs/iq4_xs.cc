#include "quant/iq4_xs/iq4_xs.h"

#include "quant/importance.h"
#include "quant/pack.h"
#include "quant/search_iq4.h"

namespace crossover::quant {
namespace {

constexpr size_t kLength = 32;  // of a sub-block
constexpr size_t kSubBlocks = IQ4_XS::kBlockWeights / kLength;

int Scale(const IQ4_XS::Block& block, size_t k) {
  const int low = (block.scales_l[k / 2] >> (4 * (k % 2))) & 15;
  const int high = (block.scales_h[k / 4] >> (2 * (k % 4))) & 3;
  return (low | high << 4) - 32;
}

void SetScale(IQ4_XS::Block& block, size_t k, int scale) {
  const unsigned stored = static_cast<unsigned>(scale + 32);
  block.scales_l[k / 2] |= static_cast<uint8_t>((stored & 15u) << (4 * (k % 2)));
  block.scales_h[k / 4] |= static_cast<uint8_t>((stored >> 4) << (2 * (k % 4)));
}

}  // namespace

void IQ4_XS::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  for (size_t k = 0; k < kSubBlocks; ++k) {
    const float scale = d * static_cast<float>(Scale(block, k));
    uint8_t codes[kLength];
    UnpackNibbles(block.qs + 16 * k, codes);
    for (size_t l = 0; l < kLength; ++l) {
      out[kLength * k + l] = scale * static_cast<float>(kIq4Levels[codes[l]]);
    }
  }
}

void IQ4_XS::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  float weights[kBlockWeights];
  std::array<float, kSubBlocks> fitted;
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const std::span<const float> x = row.subspan(begin, kBlockWeights);
    if (importance != nullptr) {
      ImportanceWeights(x, importance + begin, 2.0f * MeanSquare(x), weights);
    } else {
      SquareWeights(x, weights);
    }
    for (size_t k = 0; k < kSubBlocks; k += kLanes) {
      StoreLanes(SearchIq4(LoadLanes<Lanes, kLength>(&x[k * kLength]),
                           LoadLanes<Lanes, kLength>(&weights[k * kLength])),
                 &fitted[k]);
    }
    *out = {};
    const float d = -SignedMaximum(fitted) / 32.0f;
    const float inverse = Reciprocal(d);
    out->d = Half::FromFloat(d);
    for (size_t k = 0; k < kSubBlocks; ++k) {
      const float scale = RoundClamped(inverse * fitted[k], -32.0f, 31.0f);
      SetScale(*out, k, static_cast<int>(scale));
      uint8_t codes[kLength];
      Iq4Codes(&x[k * kLength], d * scale, codes);
      PackNibbles(codes, out->qs + 16 * k);
    }
  }
}

}  // namespace crossover::quant

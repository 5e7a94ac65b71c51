#include "quant/q5_k/q5_k.h"

#include "quant/k_affine32.h"

namespace crossover::quant {
namespace {

constexpr AffineRule kRule{31.0f, 63.0f, {-0.5f, 0.1f, 15, true}, 2.0f};

}  // namespace

void Q5_K::Decode(const Block& block, float* out) {
  const float d = block.d.ToFloat();
  const float dmin = block.dmin.ToFloat();
  for (size_t k = 0; k < 8; ++k) {
    const ScaleMin packed_scale = UnpackScaleMin(block.scales, k);
    const float scale = d * static_cast<float>(packed_scale.scale);
    const float min = dmin * static_cast<float>(packed_scale.min);
    for (size_t l = 0; l < 32; ++l) {
      const uint8_t packed = block.qs[32 * (k / 2) + l];
      const int code = ((packed >> (4 * (k % 2))) & 15) | ((block.qh[l] >> k) & 1) << 4;
      out[32 * k + l] = scale * static_cast<float>(code) - min;
    }
  }
}

void Q5_K::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  for (size_t begin = 0; begin < row.size(); begin += kBlockWeights, ++out) {
    const auto block = EncodeAffine32(row.subspan(begin, kBlockWeights),
                                      importance == nullptr ? nullptr : importance + begin, kRule);
    out->d = block.d;
    out->dmin = block.dmin;
    PackScaleMins(block.scales.data(), block.mins.data(), out->scales);
    PackSubBlockNibbles(block.codes.data(), out->qs);
    for (size_t l = 0; l < 32; ++l) {
      unsigned bits = 0;
      for (size_t k = 0; k < 8; ++k) bits |= ((block.codes[32 * k + l] >> 4) & 1u) << k;
      out->qh[l] = static_cast<uint8_t>(bits);
    }
  }
}

}  // namespace crossover::quant

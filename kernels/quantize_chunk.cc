// Activations to 8 bits: codes = rne(x · 127 / max|x|) over a block as long as the weights'.
#include <algorithm>

#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize_chunk.cc"
#include <hwy/foreach_target.h>

#include "kernels/abs_max-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// Below this 127 / max could overflow; such a block counts as zero, at an error of 2^-100.
constexpr float kSmallestMax = 0x1p-100f;

/// Quantises `n` values, a multiple of 32; returns the scale.
HWY_INLINE float QuantizeBlock(const float* HWY_RESTRICT x, size_t n, int8_t* HWY_RESTRICT codes) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const float max = AbsMax(x, n);
  const auto inverse = hn::Set(d, max >= kSmallestMax ? 127.0f / max : 0.0f);
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto code = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), inverse));
    hn::StoreU(hn::DemoteTo(d8, code), d8, codes + i);
  }
  return max < kSmallestMax ? 0.0f : max / 127.0f;  // a NaN stays one
}

void Quantize(const float* x, size_t token, size_t chunk, size_t cols, size_t block,
              const Q8Rows& out) {
  constexpr size_t kGroups32 = kChunkWeights / 32;
  constexpr size_t kGroups16 = kChunkWeights / 16;
  const size_t first = chunk * kChunkWeights;
  const size_t n = std::min(kChunkWeights, cols - first);
  int8_t* codes = out.codes + token * out.code_stride + first;
  float* scales = out.scales + token * out.scale_stride + chunk * (kChunkWeights / block);
  float* sums16 = out.sums16 + token * out.sum16_stride + chunk * kGroups16;
  float* sums32 = out.sums32 + token * out.sum32_stride + chunk * kGroups32;
  int32_t* code_sums16 = out.code_sums16 + token * out.sum16_stride + chunk * kGroups16;
  int32_t* code_sums32 = out.code_sums32 + token * out.sum32_stride + chunk * kGroups32;

  for (size_t b = 0; b < kChunkWeights / block; ++b) {
    const bool inside = b * block < n;
    scales[b] = inside ? QuantizeBlock(x + b * block, block, codes + b * block) : 0.0f;
  }
  std::fill(codes + n, codes + kChunkWeights, int8_t{0});
  for (size_t g = 0; g < kGroups32; ++g) {
    int sums[2] = {0, 0};
    for (size_t i = 0; i < 16; ++i) {
      sums[0] += codes[32 * g + i];
      sums[1] += codes[32 * g + 16 + i];
    }
    code_sums16[2 * g] = sums[0];
    code_sums16[2 * g + 1] = sums[1];
    code_sums32[g] = sums[0] + sums[1];
    const float scale = scales[32 * g / block];
    sums16[2 * g] = scale * static_cast<float>(sums[0]);
    sums16[2 * g + 1] = scale * static_cast<float>(sums[1]);
    sums32[g] = scale * static_cast<float>(sums[0] + sums[1]);
  }
  if (first + n == cols) {  // what a vector longer than the last chunk's groups would read
    std::fill(scales + kChunkWeights / block, out.scales + (token + 1) * out.scale_stride, 0.0f);
    std::fill(sums32 + kGroups32, out.sums32 + (token + 1) * out.sum32_stride, 0.0f);
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(Quantize);
}

void QuantizeChunk(const float* x, size_t token, size_t chunk, size_t cols, size_t block,
                   const Q8Rows& out) {
  HWY_DYNAMIC_DISPATCH(Quantize)(x, token, chunk, cols, block, out);
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

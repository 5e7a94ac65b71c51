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

/// Sums of the groups of one chunk, `codes` its codes and `scales` its blocks' scales.
template <size_t kGroup>
HWY_INLINE void AddGroupSums(const int8_t* codes, const float* scales, size_t block, size_t token,
                             size_t chunk, const GroupSums& out) {
  constexpr size_t kGroups = kChunkWeights / kGroup;
  const size_t first = token * out.stride + chunk * kGroups;
  constexpr int kHalf = 1 << (GroupSums::kHighShift - 1);
  for (size_t g = 0; g < kGroups; ++g) {
    int sum = 0;
    for (size_t i = 0; i < kGroup; ++i) sum += codes[g * kGroup + i];
    out.scaled[first + g] = scales[g * kGroup / block] * static_cast<float>(sum);
    out.negative[first + g] = -sum;
    if constexpr (kGroup <= 32) {
      const int high = (sum + kHalf) >> GroupSums::kHighShift;
      out.high[first + g] = static_cast<int8_t>(high);
      out.low[first + g] = static_cast<int8_t>(sum - (high << GroupSums::kHighShift));
    }
  }
}

void Quantize(const float* x, size_t token, size_t chunk, size_t cols, size_t block,
              const Q8Rows& out) {
  const size_t first = chunk * kChunkWeights;
  const size_t n = std::min(kChunkWeights, cols - first);
  int8_t* codes = out.codes + token * out.code_stride + first;
  float* scales = out.scales + token * out.scale_stride + chunk * (kChunkWeights / block);
  for (size_t b = 0; b < kChunkWeights / block; ++b) {
    const bool inside = b * block < n;
    scales[b] = inside ? QuantizeBlock(x + b * block, block, codes + b * block) : 0.0f;
  }
  std::fill(codes + n, codes + kChunkWeights, int8_t{0});
  if (block == 256) AddGroupSums<16>(codes, scales, block, token, chunk, out.sums16);
  if (block == 256 || block == 32) {
    AddGroupSums<32>(codes, scales, block, token, chunk, out.sums32);
  }
  if (block == 64) AddGroupSums<64>(codes, scales, block, token, chunk, out.block_sums);
  if (block == 128) AddGroupSums<128>(codes, scales, block, token, chunk, out.block_sums);
  // What a vector longer than the last chunk's groups reads.
  if (first + n == cols && out.sums32.scaled != nullptr) {
    std::fill(scales + kChunkWeights / block, out.scales + (token + 1) * out.scale_stride, 0.0f);
    float* sums = out.sums32.scaled + token * out.sums32.stride;
    std::fill(sums + (chunk + 1) * (kChunkWeights / 32), sums + out.sums32.stride, 0.0f);
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

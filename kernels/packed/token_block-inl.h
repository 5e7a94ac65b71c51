// The activations of a block of tokens, as the panels of unit_panel-inl.h meet them.
#if defined(CROSSOVER_KERNELS_PACKED_TOKEN_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_TOKEN_BLOCK_INL_H_
#undef CROSSOVER_KERNELS_PACKED_TOKEN_BLOCK_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_TOKEN_BLOCK_INL_H_
#endif

#include <algorithm>
#include <cstddef>

#include "kernels/packed/unit_panel-inl.h"

#if CROSSOVER_BYTE_GEMM

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

struct BlockToken {
  const std::byte* factors;  // a dword a step of the panel
  const float* scales;
  const float* sums;  // of blocks, scaled
  // [units][TokenBlock::kUnitSums]: what a panel's sums meet, two groups a dword; or what the sum
  // of a unit, or of each of its blocks, begins with
  const int32_t* unit_sums;
};

template <PackedSpec kSpec>
class TokenBlock {
 public:
  static constexpr size_t kMaxTokens = 512;
  static constexpr size_t kUnitSums = [] {
    if (UnitPanel<kSpec>::kHasSums) return kSpec.groups() / 2;
    if (UnitPanel<kSpec>::kExcess != 0) return size_t{1};
    if (!kSpec.has_groups() && kOffset<kSpec> != 0) return UnitPanel<kSpec>::kBlocks;
    return size_t{0};
  }();

  /// Tokens that a block may have, as many as leave L2 room for the panels and find some in
  /// `scratch` bytes.
  static size_t MostTokens(const PackedGeometry& geometry, const Q8Rows& x, size_t scratch) {
    const size_t fit = scratch / std::max<size_t>(1, geometry.units * kUnitBytes);
    return std::min({kMaxTokens, kCacheBytes / x.code_stride, fit});
  }

  /// Takes `count` tokens from `first` on, of which those behind `tokens` repeat the last. The
  /// arrays of `x` and `scratch` are in use until the next call.
  void Take(const PackedGeometry& geometry, const Q8Rows& x, const GroupSums& sums, size_t first,
            size_t tokens, size_t count, std::byte* scratch) {
    auto* shorts = reinterpret_cast<int16_t*>(scratch);
    auto* unit_sums = reinterpret_cast<int32_t*>(shorts + count * geometry.units * kUnitShorts);
    for (size_t t = 0; t < count; ++t) {
      const size_t token = first + std::min(t, tokens - 1);
      const int8_t* codes = x.codes + token * x.code_stride;
      tokens_[t] = {reinterpret_cast<const std::byte*>(codes), x.scales + token * x.scale_stride,
                    sums.scaled + token * sums.stride, nullptr};
      if constexpr (kUnitShorts != 0) {
        int16_t* wide = shorts + t * geometry.units * kUnitShorts;
        Widen(codes, geometry.units * kUnitShorts, wide);
        tokens_[t].factors = reinterpret_cast<const std::byte*>(wide);
      }
      if constexpr (kUnitSums != 0) {
        int32_t* to = unit_sums + t * geometry.units * kUnitSums;
        TakeSums(geometry, sums.negative + token * sums.stride, to);
        tokens_[t].unit_sums = to;
      }
    }
  }

  const BlockToken* from(size_t t) const { return tokens_ + t; }

 private:
  static constexpr size_t kCacheBytes = size_t{1} << 20;
  static constexpr size_t kUnitShorts =
      UnitPanel<kSpec>::kKind == Factor::kShort ? kSpec.unit_columns() : 0;
  static constexpr size_t kUnitBytes = kUnitShorts * sizeof(int16_t) + kUnitSums * sizeof(int32_t);

  static void Widen(const int8_t* codes, size_t n, int16_t* to) {
    const PackedShorts d16;
    const hn::Rebind<int8_t, PackedShorts> d8;
    for (size_t i = 0; i < n; i += hn::Lanes(d16)) {
      hn::StoreU(hn::PromoteTo(d16, hn::LoadU(d8, codes + i)), d16, to + i);
    }
  }

  static void TakeSums(const PackedGeometry& geometry, const int32_t* negative, int32_t* to) {
    using Panel = UnitPanel<kSpec>;
    if constexpr (Panel::kHasSums) {
      for (size_t i = 0; i < geometry.units * kUnitSums; ++i) {
        const auto low = static_cast<uint32_t>(negative[2 * i]) & 0xffffu;
        to[i] = static_cast<int32_t>(low | static_cast<uint32_t>(negative[2 * i + 1]) << 16);
      }
    } else if constexpr (kSpec.has_groups()) {
      for (size_t u = 0; u < geometry.units; ++u) {
        int32_t sum = 0;
        for (size_t g = 0; g < kSpec.groups(); ++g) sum += negative[u * kSpec.groups() + g];
        to[u] = sum * Panel::kExcess;
      }
    } else {
      const int offset = HasOffset<kSpec>(geometry) ? static_cast<int>(kOffset<kSpec>) : 0;
      const size_t blocks = kPackedChunk >> geometry.block_shift;
      for (size_t u = 0; u < geometry.units; ++u) {
        for (size_t b = 0; b < blocks; ++b) {
          to[u * kUnitSums + b] = offset * negative[u * blocks + b];
        }
      }
    }
  }

  BlockToken tokens_[kMaxTokens];
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_BYTE_GEMM

#endif  // CROSSOVER_KERNELS_PACKED_TOKEN_BLOCK_INL_H_

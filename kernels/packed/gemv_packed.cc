// Integer products with the packed form: the decode path, and that of larger batches where integers
// are the fastest unit. All tokens pass over a group of 16 rows while it is in the cache.
#include <algorithm>
#include <bit>

#include "kernels/dotprod.h"
#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/packed/gemv_packed.cc"
#include <hwy/foreach_target.h>

#include "kernels/packed/byte_gemm-inl.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/sources.h"
#include "kernels/packed/store_rows-inl.h"
#include "kernels/packed/unit_dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// Tokens that share one unpacking: their sums stay in registers.
constexpr size_t kTokenBlock = HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 ? 8 : 4;

/// out[kTokens][16]: y of one group of rows.
template <PackedSpec kSpec, size_t kTokens>
HWY_NOINLINE void GroupProducts(const uint8_t* group, const PackedGeometry& geometry,
                                const TokenView* x, float* out) {
#if HWY_TARGET != HWY_SCALAR
  constexpr size_t kParts = kPackedRows / kLaneRows;
  const PackedFloats df;
  VFloats acc[kParts][kTokens];
  for (auto& part : acc) {
    for (auto& a : part) a = hn::Zero(df);
  }
#else
  std::fill_n(out, kTokens * kPackedRows, 0.0f);
#endif
  for (size_t u = 0; u < geometry.units; ++u) {
    const PackedUnit unit(group, geometry, u, kSpec.code_bytes());
    const size_t column = u * kSpec.unit_columns();
    const auto add = [&](auto&& dot) HWY_ATTR {
      if constexpr (kSpec.has_groups()) {
        dot.AddGroups();
      } else {
        dot.AddBlocks(geometry);
      }
    };
#if HWY_TARGET != HWY_SCALAR
    for (size_t part = 0; part < kParts; ++part) {
      add(UnitDot<kSpec, kTokens>(unit, part * kLaneRows, x, column, acc[part]));
    }
#else
    add(UnitDot<kSpec, kTokens>(unit, 0, x, column, out));
#endif
  }
#if HWY_TARGET != HWY_SCALAR
  for (size_t part = 0; part < kParts; ++part) {
    for (size_t t = 0; t < kTokens; ++t) {
      hn::StoreU(acc[part][t], df, out + t * kPackedRows + part * kLaneRows);
    }
  }
#endif
}

template <PackedSpec kSpec>
void GroupOfTokens(const uint8_t* group, const PackedGeometry& geometry, const TokenView* x,
                   size_t tokens, float* out) {
  if constexpr (kTokenBlock == 8) {
    if (tokens > 4) return GroupProducts<kSpec, 8>(group, geometry, x, out);
  }
  if (tokens > 2) return GroupProducts<kSpec, 4>(group, geometry, x, out);
  if (tokens == 2) return GroupProducts<kSpec, 2>(group, geometry, x, out);
  GroupProducts<kSpec, 1>(group, geometry, x, out);
}

/// Views of kTokenBlock tokens from `first` on: blocks are of 1, 2, 4 or 8 tokens, so those that
/// are missing repeat the last.
inline void ViewTokens(const Q8Rows& x, const GroupSums& sums, size_t first, size_t tokens,
                       TokenView* views) {
  const size_t n = std::min(kTokenBlock, tokens - first);
  for (size_t t = 0; t < std::min(kTokenBlock, std::bit_ceil(n)); ++t) {
    const size_t token = first + std::min(t, n - 1);
    const size_t offset = token * sums.stride;
    views[t] = {x.codes + token * x.code_stride,
                x.scales + token * x.scale_stride,
                sums.scaled + offset,
                sums.negative + offset,
                sums.high + offset,
                sums.low + offset};
  }
}

/// All rows of a share, tokens in blocks.
template <PackedSpec kSpec>
void GemvPacked(const MatMulShare& share, const Q8Rows& x) {
  const PackedGeometry geometry = GeometryOf(*share.w);
  const GroupSums& sums = x.sums(kSpec.has_groups() ? kSpec.group : geometry.block);
#if CROSSOVER_BYTE_GEMM
  if (share.tokens > kMaxGemvTokens && ByteGemm<kSpec>::Fits(share, geometry, x)) {
    return ByteGemm<kSpec>(share, geometry, x, sums).Run();
  }
#endif
  alignas(64) float out[kTokenBlock * kPackedRows];
  TokenView views[kTokenBlock];
  ViewTokens(x, sums, 0, share.tokens, views);
  for (size_t row = share.rows.begin; row < share.rows.end; row += kPackedRows) {
    const auto* group =
        static_cast<const uint8_t*>(share.w->data) + row / kPackedRows * geometry.group_bytes;
    for (size_t first = 0; first < share.tokens; first += kTokenBlock) {
      if (share.tokens > kTokenBlock) ViewTokens(x, sums, first, share.tokens, views);
      const size_t tokens = std::min(kTokenBlock, share.tokens - first);
      GroupOfTokens<kSpec>(group, geometry, views, tokens, out);
      for (size_t t = 0; t < tokens; ++t) {
        StoreRows(share, first + t, row, out + t * kPackedRows);
      }
    }
  }
}

using PackedTable = FormatTable<GemvQ8Fn>;

const PackedTable& GemvPackedFunctions() {
  static constexpr PackedTable kTable =
      PackedFunctions<GemvQ8Fn>([]<PackedSpec kSpec>() -> GemvQ8Fn { return GemvPacked<kSpec>; });
  return kTable;
}

/// Whether bytes beat floats for any number of tokens (docs/measurements.md).
bool HasFastBytes() { return CROSSOVER_BYTE_GEMM || CROSSOVER_DOTPROD; }

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
#if CROSSOVER_HAS_DOTPROD
namespace N_DOTPROD {
const FormatTable<GemvQ8Fn>& GemvPackedFunctions();
bool HasFastBytes();
}  // namespace N_DOTPROD
#endif

namespace {
HWY_EXPORT(GemvPackedFunctions);
HWY_EXPORT(HasFastBytes);
}  // namespace

bool HasFastByteProducts() {
#if CROSSOVER_HAS_DOTPROD
  if (DotprodSelected()) return N_DOTPROD::HasFastBytes();
#endif
  return HWY_DYNAMIC_DISPATCH(HasFastBytes)();
}

std::span<const GemvQ8Fn> GemvPackedTable() {
#if CROSSOVER_HAS_DOTPROD
  if (DotprodSelected()) return N_DOTPROD::GemvPackedFunctions();
#endif
  return HWY_DYNAMIC_DISPATCH(GemvPackedFunctions)();
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

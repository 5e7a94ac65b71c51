// Products of few tokens with the packed form: the decode path.
//
//   y[t][r] = Σ_units d[r]·xscale[t] · (Σ_g scale[g][r] · Σ_{k∈g}
//   code[k][r]·xcode[t][k]
//                                       - offset · Σ_g scale[g][r] ·
//                                       xsum[t][g])
//             - m[r]·xscale[t] · Σ_g min[g][r] · xsum[t][g]
//
// A lane is a row: nothing is summed across lanes, an activation is a
// broadcast, and all of a unit is integer arithmetic up to one conversion. A
// core keeps some twenty cache lines in flight, which any stall lowers, so
// lines are asked for well ahead: into L2 first, into L1 shortly before use.
#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/packed/gemv_packed.cc"
#include <hwy/foreach_target.h>

#include "kernels/packed/lane_dot-inl.h"
#include "kernels/packed/sources.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// What a pass reads of its tokens.
struct TokenView {
  const int8_t* codes;
  const float* scales;
  const int32_t* sums;  // of the codes of each group
};

/// y of one token and up to 16 rows.
inline void StoreRows(const MatMulShare& share, size_t t, size_t row, const float* values) {
  const size_t n = std::min(kPackedRows, share.rows.end - row);
  float* y = share.y + t * share.y_stride + row;
  for (size_t i = 0; i < n; ++i) {
    const float value = share.bias != nullptr ? values[i] + share.bias[row + i] : values[i];
    y[i] = share.accumulate ? y[i] + value : value;
  }
}

#if HWY_TARGET != HWY_SCALAR

// Bytes ahead of use; chosen by measurement (docs/measurements.md).
constexpr size_t kAheadL2 = 4096;
constexpr size_t kAheadL1 = 1024;

// Tokens that share one unpacking: their sums stay in registers.
constexpr size_t kTokenBlock = HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 ? 8 : 4;

HWY_INLINE void PrefetchLines(const uint8_t* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(p + kAheadL2 + i, 0, 2);
    __builtin_prefetch(p + kAheadL1 + i, 0, 3);
  }
}

/// How much too large the codes are that LaneDot multiplies: 0 or a power of
/// two.
template <const PackedSpec& kSpec>
constexpr size_t kOffset = kSpec.offset + (kSpec.is_signed ? kSignedBias : 0);

template <const PackedSpec& kSpec, size_t kTokens>
struct UnitSums {
  VInts total[kTokens];
  VInts mins[kTokens];
};

/// dots[t] += quads [kFirst, kFirst + kCount) of a chunk.
template <const PackedSpec& kSpec, size_t kTokens, size_t kFirst, size_t kCount>
HWY_INLINE void DotQuads(const uint8_t* HWY_RESTRICT chunk, const TokenView* x, size_t column,
                         VInts* dots) {
  if constexpr (kCount > 0) {
    const VBytes codes = PackedCodes<kSpec, kFirst>(chunk);
    for (size_t t = 0; t < kTokens; ++t) {
      int32_t quad;
      std::memcpy(&quad, x[t].codes + column + 4 * kFirst, 4);
      dots[t] = LaneDot<kSpec.is_signed>(dots[t], codes, quad);
    }
    DotQuads<kSpec, kTokens, kFirst + 1, kCount - 1>(chunk, x, column, dots);
  }
}

/// Adds group g, whose products are `dots`, to a unit's sums.
template <const PackedSpec& kSpec, size_t kTokens>
HWY_INLINE void AddGroup(const uint8_t* sub, const uint8_t* high, size_t g, const TokenView* x,
                         size_t x_group, const VInts* dots, UnitSums<kSpec, kTokens>& sums) {
  constexpr size_t kLargest = ((size_t{1} << kSpec.bits()) - 1) * 127 * kSpec.group;
  VInts scale, min;
  PackedGroup<kSpec>(sub, high, g, scale, min);
  for (size_t t = 0; t < kTokens; ++t) {
    sums.total[t] = AddProduct<kLargest <= 32767>(sums.total[t], dots[t], scale);
    if constexpr (kSpec.has_min() || kOffset<kSpec> != 0) {
      sums.mins[t] =
          AddProduct<true>(sums.mins[t], hn::Set(PackedInts(), x[t].sums[x_group + g]), min);
    }
  }
}

constexpr int Log2(size_t n) { return n <= 1 ? 0 : 1 + Log2(n / 2); }

/// One unit of a format with sub-block scales.
template <const PackedSpec& kSpec, size_t kTokens>
HWY_INLINE void AddSuperBlock(const UnitRows<kSpec>& unit, const TokenView* x, size_t b,
                              VFloats* acc) {
  const PackedFloats df;
  constexpr size_t kGroupsPerChunk = kPackedChunk / kSpec.group;
  UnitSums<kSpec, kTokens> sums;
  for (size_t t = 0; t < kTokens; ++t) sums.total[t] = sums.mins[t] = hn::Zero(PackedInts());
  for (size_t c = 0; c < kSpec.block / kPackedChunk; ++c) {
    const uint8_t* chunk = unit.codes + c * kSpec.chunk_bytes();
    const size_t column = b * kSpec.block + c * kPackedChunk;
    PrefetchLines(chunk, kSpec.chunk_bytes());
    VInts dots[kTokens];
    for (auto& dot : dots) dot = hn::Zero(PackedInts());
    DotQuads<kSpec, kTokens, 0, 8 / kGroupsPerChunk>(chunk, x, column, dots);
    AddGroup<kSpec, kTokens>(unit.sub, unit.high, c * kGroupsPerChunk, x, b * kSpec.groups(), dots,
                             sums);
    if constexpr (kGroupsPerChunk == 2) {
      for (auto& dot : dots) dot = hn::Zero(PackedInts());
      DotQuads<kSpec, kTokens, 4, 4>(chunk, x, column, dots);
      AddGroup<kSpec, kTokens>(unit.sub, unit.high, c * 2 + 1, x, b * kSpec.groups(), dots, sums);
    }
  }
  const VFloats d = LoadRowHalves(unit.d);
  for (size_t t = 0; t < kTokens; ++t) {
    const VFloats xs = hn::Set(df, x[t].scales[b]);
    if constexpr (kOffset<kSpec> != 0) {
      sums.total[t] = hn::Sub(sums.total[t], hn::ShiftLeft<Log2(kOffset<kSpec>)>(sums.mins[t]));
    }
    acc[t] = hn::MulAdd(hn::ConvertTo(df, sums.total[t]), hn::Mul(d, xs), acc[t]);
    if constexpr (kSpec.has_min()) {
      const VFloats m = hn::Mul(LoadRowHalves(unit.m), xs);
      acc[t] = hn::NegMulAdd(hn::ConvertTo(df, sums.mins[t]), m, acc[t]);
    }
  }
}

/// One unit of a format with one scale for 32 columns.
template <const PackedSpec& kSpec, size_t kTokens>
HWY_INLINE void AddSmallBlock(const UnitRows<kSpec>& unit, const TokenView* x, size_t b,
                              VFloats* acc) {
  const PackedFloats df;
  const PackedInts di;
  VInts dots[kTokens];
  for (size_t t = 0; t < kTokens; ++t) {
    dots[t] = hn::Zero(di);
    if constexpr (kOffset<kSpec> != 0) {
      dots[t] = hn::Neg(hn::ShiftLeft<Log2(kOffset<kSpec>)>(hn::Set(di, x[t].sums[b])));
    }
  }
  DotQuads<kSpec, kTokens, 0, 8>(unit.codes, x, b * kPackedChunk, dots);
  const VFloats d = LoadRowHalves(unit.d);
  for (size_t t = 0; t < kTokens; ++t) {
    const VFloats xs = hn::Set(df, x[t].scales[b]);
    acc[t] = hn::MulAdd(hn::ConvertTo(df, dots[t]), hn::Mul(d, xs), acc[t]);
    if constexpr (kSpec.scales == PackedScales::kHalfAndMin) {
      const VFloats sum = hn::Mul(hn::ConvertTo(df, hn::Set(di, x[t].sums[b])), xs);
      acc[t] = hn::MulAdd(LoadRowHalves(unit.m), sum, acc[t]);
    }
  }
}

/// y of `kTokens` tokens for one group of rows.
template <const PackedSpec& kSpec, size_t kTokens>
HWY_NOINLINE void GroupProducts(const uint8_t* group, size_t units, const TokenView* x,
                                float* out) {
  const PackedFloats df;
  VFloats acc[kPackedRows / kLaneRows][kTokens];
  for (auto& part : acc) {
    for (auto& a : part) a = hn::Zero(df);
  }
  for (size_t b = 0; b < units; ++b) {
    const uint8_t* unit = group + b * kSpec.unit_bytes();
    if constexpr (kSpec.block == kPackedChunk) {
      PrefetchLines(unit, kSpec.unit_bytes());
    } else {
      PrefetchLines(unit, kSpec.scale_bytes());
    }
    for (size_t part = 0; part < kPackedRows / kLaneRows; ++part) {
      const UnitRows<kSpec> rows(unit, part * kLaneRows);
      if constexpr (kSpec.block == kPackedChunk) {
        AddSmallBlock<kSpec, kTokens>(rows, x, b, acc[part]);
      } else {
        AddSuperBlock<kSpec, kTokens>(rows, x, b, acc[part]);
      }
    }
  }
  for (size_t part = 0; part < kPackedRows / kLaneRows; ++part) {
    for (size_t t = 0; t < kTokens; ++t) {
      hn::StoreU(acc[part][t], df, out + t * kPackedRows + part * kLaneRows);
    }
  }
}

template <const PackedSpec& kSpec>
void GroupOfTokens(const uint8_t* group, size_t units, const TokenView* x, size_t tokens,
                   float* out) {
  if constexpr (kTokenBlock == 8) {
    if (tokens > 4) return GroupProducts<kSpec, 8>(group, units, x, out);
  }
  if (tokens > 2) return GroupProducts<kSpec, 4>(group, units, x, out);
  if (tokens == 2) return GroupProducts<kSpec, 2>(group, units, x, out);
  GroupProducts<kSpec, 1>(group, units, x, out);
}

#else

template <const PackedSpec& kSpec>
void GroupOfTokens(const uint8_t* group, size_t units, const TokenView* x, size_t tokens,
                   float* out) {
  constexpr size_t kGroupsPerChunk = kPackedChunk / kSpec.group;
  std::fill_n(out, tokens * kPackedRows, 0.0f);
  for (size_t b = 0; b < units; ++b) {
    const uint8_t* unit = group + b * kSpec.unit_bytes();
    for (size_t i = 0; i < tokens * kPackedRows; ++i) {
      const size_t t = i / kPackedRows;
      const size_t row = i % kPackedRows;
      int total = 0;
      int mins = 0;
      for (size_t g = 0; g < kSpec.groups(); ++g) {
        const uint8_t* chunk =
            unit + kSpec.scale_bytes() + g / kGroupsPerChunk * kSpec.chunk_bytes();
        int dot = 0;
        for (size_t k = 0; k < kSpec.group; ++k) {
          dot += ScalarCode<kSpec>(chunk, row, g % kGroupsPerChunk * kSpec.group + k) *
                 x[t].codes[b * kSpec.block + g * kSpec.group + k];
        }
        const ScaleMinOfGroup group_scale = ScalarGroup<kSpec>(unit, row, g);
        total += dot * group_scale.scale;
        mins += x[t].sums[b * kSpec.groups() + g] * group_scale.min;
      }
      quant::Half d, m;
      std::memcpy(&d, unit + 2 * row, 2);
      std::memcpy(&m, unit + 32 + 2 * row, 2);
      out[i] += static_cast<float>(total) * (d.ToFloat() * x[t].scales[b]);
      if constexpr (kSpec.has_min()) {
        out[i] -= static_cast<float>(mins) * (m.ToFloat() * x[t].scales[b]);
      } else if constexpr (kSpec.scales == PackedScales::kHalfAndMin) {
        out[i] += static_cast<float>(mins) * (m.ToFloat() * x[t].scales[b]);
      }
    }
  }
}

constexpr size_t kTokenBlock = 4;

#endif  // HWY_TARGET != HWY_SCALAR

/// All rows of a share, tokens in blocks.
template <class F>
void GemvPacked(const MatMulShare& share, const Q8Rows& x) {
  static constexpr const PackedSpec& kSpec = PackedSource<F>::kSpec;
  const size_t units = share.w->cols / kSpec.block;
  const size_t group_bytes = kPackedRows * share.row_bytes;
  const int32_t* sums = kSpec.group == 16 ? x.code_sums16 : x.code_sums32;
  const size_t sum_stride = kSpec.group == 16 ? x.sum16_stride : x.sum32_stride;
  alignas(64) float out[kTokenBlock * kPackedRows];
  for (size_t row = share.rows.begin; row < share.rows.end; row += kPackedRows) {
    const auto* group =
        static_cast<const uint8_t*>(share.w->data) + row / kPackedRows * group_bytes;
    for (size_t first = 0; first < share.tokens; first += kTokenBlock) {
      const size_t tokens = std::min(kTokenBlock, share.tokens - first);
      TokenView views[kTokenBlock];
      for (size_t t = 0; t < kTokenBlock; ++t) {
        // Blocks of 1, 2, 4 or 8 tokens: those that are missing repeat the
        // last.
        const size_t token = first + std::min(t, tokens - 1);
        views[t] = {x.codes + token * x.code_stride, x.scales + token * x.scale_stride,
                    sums + token * sum_stride};
      }
      GroupOfTokens<kSpec>(group, units, views, tokens, out);
      for (size_t t = 0; t < tokens; ++t) {
        StoreRows(share, first + t, row, out + t * kPackedRows);
      }
    }
  }
}

using PackedTable = std::array<GemvQ8Fn, quant::AllFormats::kSize>;

const PackedTable& GemvPackedFunctions() {
  static constexpr PackedTable kTable = [] {
    PackedTable table{};
    size_t n = 0;
    quant::ForEachFormat([&]<class F>() {
      if constexpr (PackedSource<F>::kExists) table[n] = GemvPacked<F>;
      ++n;
    });
    return table;
  }();
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(GemvPackedFunctions);
}

std::span<const GemvQ8Fn> GemvPackedTable() { return HWY_DYNAMIC_DISPATCH(GemvPackedFunctions)(); }

}  // namespace crossover::kernels
#endif  // HWY_ONCE

// Products of one panel (unit_panel-inl.h) with a tile of tokens, whose sums stay in registers: a
// dword of activations a step.
//
//   with VNNI     vpdpbusd adds four products of bytes to a lane of 32 bits
//   without       vpmaddubsw adds pairs of products in 16 bits, which codes of few bits leave room
//                 for several of:
//                   b bits: ⌊(2^15 - 1) / (2 · 127 · (2^b - 1))⌋: 43, 18, 8, 4, 2, 1 for b = 2 … 7
//                 and a multiplication by the group's scale, or by 1, widens the sum; codes that
//                 are signed bytes are widened before, for vpmaddwd
//
// All integers are those of unit_dot-inl.h, and floats are added in its order: a token's bits do
// not depend on how many there are.
#if defined(CROSSOVER_KERNELS_PACKED_UNIT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_UNIT_TILE_INL_H_
#undef CROSSOVER_KERNELS_PACKED_UNIT_TILE_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_UNIT_TILE_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/packed/token_block-inl.h"
#include "kernels/packed/unit_panel-inl.h"

#if CROSSOVER_BYTE_GEMM

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

template <PackedSpec kSpec>
class UnitTile {
 public:
  // Two registers of rows make the most of a broadcast; as many tokens as leave both a group's sums
  // and what they are added to in registers. Chosen by measurement.
  static constexpr size_t kParts = 2;
  static constexpr size_t kTokens =
      CROSSOVER_ROWS_16 ? (kFactor<kSpec> == Factor::kScaled ? 8 : 6) : (kSpec.group == 16 ? 3 : 4);
  using Panel = UnitPanel<kSpec>;
  using Floats = VFloats[kTokens][kParts];

  /// Rows [row, row + kParts registers) of unit u, and kTokens tokens.
  HWY_INLINE UnitTile(const Panel& panel, const PackedGeometry& geometry, const BlockToken* tokens,
                      size_t u, size_t row)
      : panel_(panel), geometry_(geometry), tokens_(tokens), u_(u), row_(row) {
    HWY_UNROLL(8)
    for (size_t t = 0; t < kTokens; ++t) {
      x_[t] = tokens[t].factors + u * Panel::kSteps * sizeof(int32_t);
    }
  }

  /// acc += the products.
  HWY_INLINE void AddTo(Floats& acc) const {
    if constexpr (kSpec.has_groups()) {
      AddGroups(acc);
    } else {
      AddBlocks(acc);
    }
  }

 private:
  // 16-bit sums of pairs, or those of lanes.
  static constexpr bool kPairSums = kSumScale<kSpec> == SumScale::kPairs;
  using VSums = std::conditional_t<kPairSums, VShorts, VInts>;
  using Sums = VSums[kTokens][kParts];
  using Totals = VInts[kTokens][kParts];
  static constexpr size_t kUnitSums = TokenBlock<kSpec>::kUnitSums;

  /// sum + the products of a step; the first has none to be added to.
  static HWY_INLINE VSums AddStep(bool is_first, VSums sum, VBytes w, int32_t dword) {
    const VInts x = hn::Set(PackedInts(), dword);
    if constexpr (kPairSums) {
      const VShorts pairs = BytePairs(w, hn::BitCast(PackedBytes(), x));
      sum = is_first ? pairs : hn::Add(sum, pairs);
    } else if constexpr (Panel::kKind == Factor::kShort) {
      const PackedShorts d16;
      const VInts pairs = ShortPairs(hn::BitCast(d16, w), hn::BitCast(d16, x));
      sum = is_first ? pairs : hn::Add(sum, pairs);
    } else {
      return LaneDot<false>(is_first ? hn::Zero(PackedInts()) : sum, w, dword);
    }
    return AddedHere(sum);
  }

  /// The same, but computed at this place: compilers multiply everything first, and then have not
  /// enough registers for the products.
  template <class V>
  static HWY_INLINE V AddedHere(V sum) {
    asm("" : "+v"(sum.raw));
    return sum;
  }

  /// sums (+)= the products of steps [begin, begin + kSteps).
  template <size_t kSteps>
  HWY_INLINE void AddSteps(size_t begin, bool adds, Sums& sums) const {
    HWY_UNROLL(8)
    for (size_t s = 0; s < kSteps; ++s) {
      VBytes w[kParts];
      for (size_t p = 0; p < kParts; ++p) {
        w[p] = hn::LoadU(PackedBytes(), &panel_.factors[begin + s][4 * Row(p)]);
      }
      HWY_UNROLL(8)
      for (size_t t = 0; t < kTokens; ++t) {
        int32_t dword;
        std::memcpy(&dword, x_[t] + 4 * (begin + s), 4);
        HWY_UNROLL(2)
        for (size_t p = 0; p < kParts; ++p) {
          sums[t][p] = AddStep(s == 0 && !adds, sums[t][p], w[p], dword);
        }
      }
    }
  }

  /// totals += sums · scale.
  static HWY_INLINE void AddScaled(const Sums& sums, const VInts* scale, Totals& totals) {
    HWY_UNROLL(8)
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t p = 0; p < kParts; ++p) {
        VInts& total = totals[t][p];
        if constexpr (kSumScale<kSpec> == SumScale::kDword) {
          total = hn::Add(total, hn::Mul(sums[t][p], scale[p]));
        } else {
          const VInts sum = hn::BitCast(PackedInts(), sums[t][p]);
          total = AddedHere(AddShortPairs(total, sum, scale[p]));
        }
      }
    }
  }

  /// totals += what stands in sums of activations.
  HWY_INLINE void AddSums(Totals& totals) const {
    for (size_t i = 0; i < kUnitSums; ++i) {
      VInts w[kParts];
      for (size_t p = 0; p < kParts; ++p) w[p] = LoadInts(panel_.sums[i], p);
      HWY_UNROLL(8)
      for (size_t t = 0; t < kTokens; ++t) {
        const VInts x = hn::Set(PackedInts(), tokens_[t].unit_sums[u_ * kUnitSums + i]);
        for (size_t p = 0; p < kParts; ++p) totals[t][p] = AddShortPairs(totals[t][p], w[p], x);
      }
    }
  }

  /// totals = zero, or what a token's sum number `i` of the unit has for all rows.
  HWY_INLINE void Start(bool from_sums, size_t i, Totals& totals) const {
    HWY_UNROLL(8)
    for (size_t t = 0; t < kTokens; ++t) {
      const int32_t start = from_sums ? tokens_[t].unit_sums[u_ * kUnitSums + i] : 0;
      for (VInts& v : totals[t]) v = hn::Set(PackedInts(), start);
    }
  }

  /// Of sub-blocks, but for minima.
  HWY_INLINE void SumGroups(Totals& totals) const {
    Start(Panel::kExcess != 0, 0, totals);
    if constexpr (Panel::kHasSums && !kSpec.has_min()) AddSums(totals);
    if constexpr (Panel::kKind == Factor::kScaled) {
      for (size_t s = 0; s < Panel::kSteps; s += 8) AddSteps<8>(s, true, totals);
    } else {
      constexpr size_t kGroupSteps = Panel::kSteps / kSpec.groups();
      constexpr bool kWhole = kSumScale<kSpec> == SumScale::kDword;
      constexpr size_t kRun = kWhole ? kGroupSteps : std::min(kGroupSteps, kStepsInShort<kSpec>);
      for (size_t g = 0; g < kSpec.groups(); ++g) {
        VInts scale[kParts];
        for (size_t p = 0; p < kParts; ++p) scale[p] = LoadInts(panel_.scales[g], p);
        for (size_t s = 0; s < kGroupSteps; s += kRun) {
          Sums sums;
          AddSteps<kRun>(g * kGroupSteps + s, false, sums);
          AddScaled(sums, scale, totals);
        }
      }
    }
  }

  /// acc += totals · factor · the tokens' scales of number `i`.
  HWY_INLINE void AddTotals(const Totals& totals, const float* factor, size_t i,
                            Floats& acc) const {
    const PackedFloats df;
    HWY_UNROLL(8)
    for (size_t t = 0; t < kTokens; ++t) {
      const VFloats xs = hn::Set(df, tokens_[t].scales[i]);
      for (size_t p = 0; p < kParts; ++p) {
        const VFloats d = hn::LoadU(df, factor + Row(p));
        acc[t][p] = hn::MulAdd(hn::ConvertTo(df, totals[t][p]), hn::Mul(d, xs), acc[t][p]);
      }
    }
  }

  HWY_INLINE void AddGroups(Floats& acc) const {
    Totals totals;
    SumGroups(totals);
    AddTotals(totals, panel_.d[0], u_, acc);
    if constexpr (kSpec.has_min()) {
      Start(false, 0, totals);
      AddSums(totals);
      AddTotals(totals, panel_.m[0], u_, acc);
    }
  }

  HWY_INLINE void AddBlocks(Floats& acc) const {
    constexpr size_t kColumns = kSpec.unit_columns() / Panel::kSteps;
    constexpr size_t kSteps = 32 / kColumns;  // of the shortest block
    const size_t steps = geometry_.block / kColumns;
    VInts ones[kParts];
    for (VInts& one : ones) one = hn::Set(PackedInts(), 0x10001);
    for (size_t b = 0; b < kPackedChunk >> geometry_.block_shift; ++b) {
      Totals totals;
      Start(kUnitSums != 0, b, totals);
      for (size_t s = b * steps; s < (b + 1) * steps; s += kSteps) {
        if constexpr (kPairSums) {
          constexpr size_t kRun = std::min(kSteps, kStepsInShort<kSpec>);
          for (size_t i = 0; i < kSteps; i += kRun) {
            Sums sums;
            AddSteps<kRun>(s + i, false, sums);
            AddScaled(sums, ones, totals);
          }
        } else {
          for (size_t i = 0; i < kSteps; i += 8) AddSteps<8>(s + i, true, totals);
        }
      }
      AddBlock(b, totals, acc);
    }
  }

  /// acc += a block's sums, scaled.
  HWY_INLINE void AddBlock(size_t b, const Totals& totals, Floats& acc) const {
    const size_t block = (u_ * kPackedChunk >> geometry_.block_shift) + b;
    AddTotals(totals, panel_.d[b], block, acc);
    if (geometry_.scales == PackedScales::kHalf) return;
    const PackedFloats df;
    const bool is_min = geometry_.scales == PackedScales::kHalfAndMin;
    HWY_UNROLL(8)
    for (size_t t = 0; t < kTokens; ++t) {
      const VFloats sum = hn::Set(df, tokens_[t].sums[block]);
      for (size_t p = 0; p < kParts; ++p) {
        const VFloats d = hn::LoadU(df, &panel_.d[b][Row(p)]);
        const VFloats m = hn::LoadU(df, &panel_.m[b][Row(p)]);
        acc[t][p] = hn::MulAdd(is_min ? m : hn::Neg(hn::Mul(d, m)), sum, acc[t][p]);
      }
    }
  }

  HWY_INLINE size_t Row(size_t part) const { return row_ + part * kLaneRows; }

  HWY_INLINE VInts LoadInts(const int32_t* rows, size_t part) const {
    return hn::LoadU(PackedInts(), rows + Row(part));
  }

  const Panel& panel_;
  const PackedGeometry& geometry_;
  const BlockToken* tokens_;
  size_t u_;
  size_t row_;
  const std::byte* x_[kTokens];
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_BYTE_GEMM

#endif  // CROSSOVER_KERNELS_PACKED_UNIT_TILE_INL_H_

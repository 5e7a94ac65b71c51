// A unit of the packed form (spec.h) taken apart, once for many tokens: one or two groups of 16
// rows in the form that this level multiplies best, with their scales.
//
// The sum that a token wants of a unit of sub-blocks is
//   Σ_g scale[g] · (Σ_{k∈g} code[k]·x[k] - offset·xsum[g])
// in integers (unit_dot-inl.h); what stands in xsum, like a minimum's part, is a few products with
// sums of activations. Where bytes have room for scale · code, the scales need no products at all.
#if defined(CROSSOVER_KERNELS_PACKED_UNIT_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_UNIT_PANEL_INL_H_
#undef CROSSOVER_KERNELS_PACKED_UNIT_PANEL_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_UNIT_PANEL_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/packed/pack.h"
#include "kernels/packed/unit_dot-inl.h"

#if CROSSOVER_BYTE_GEMM

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// What of a weight is multiplied with activations.
enum class Factor {
  kCode,    // an unsigned byte; as it is stored
  kScaled,  // an unsigned byte: scale · code, less the least that it can be
  kShort,   // 16 bits, signed: where the product of two bytes would fill them
};

/// What scale · (code - offset) can be in a unit of sub-blocks.
struct ScaledRange {
  int least;
  int most;
};

constexpr ScaledRange RangeOfScaled(const PackedSpec& spec) {
  const int offset = static_cast<int>(spec.offset);
  const int codes[] = {-offset, (1 << spec.bits) - 1 - offset};
  const int scale_bits = spec.scales == PackedScales::kBytes         ? 8
                         : spec.scales == PackedScales::kNibblePairs ? 4
                                                                     : 6;
  const int scales[] = {-spec.scale_bias(), (1 << scale_bits) - 1 - spec.scale_bias()};
  ScaledRange range = {0, 0};
  for (const int code : codes) {
    for (const int scale : scales) {
      range = {std::min(range.least, code * scale), std::max(range.most, code * scale)};
    }
  }
  return range;
}

/// A byte product of any size is added up in 32 bits by one instruction only where kAnyByte is.
template <PackedSpec kSpec>
constexpr Factor kFactor = [] {
  if (kSignedCodes<kSpec>) return Factor::kShort;
  constexpr ScaledRange kRange = RangeOfScaled(kSpec);
  const bool fits = kSpec.has_groups() && !kSpec.has_levels && kRange.most - kRange.least < 256;
  return kAnyByte && fits ? Factor::kScaled : Factor::kCode;
}();

/// The largest byte that is a factor.
template <PackedSpec kSpec>
constexpr size_t kLargestCode = kSpec.has_levels ? 255 : (size_t{1} << kSpec.bits) - 1;

/// Dwords of activations, a step each, whose products with codes 16 bits can add up: in pairs, or
/// as the sum of a register's lane.
template <PackedSpec kSpec>
constexpr size_t kStepsInShort = std::bit_floor(32767 /
                                                ((kAnyByte ? 4 : 2) * 127 * kLargestCode<kSpec>));

/// How scales of sub-blocks meet sums of products.
enum class SumScale {
  kPairs,  // 16-bit sums of pairs: a multiply-add of halves widens them too
  kShort,  // sums of a lane that fit 16 bits: the same, of the lower half
  kDword,
};

/// A multiplication of dwords, once a group, takes as long as three of halves.
template <PackedSpec kSpec>
constexpr SumScale kSumScale = [] {
  if (kFactor<kSpec> == Factor::kShort) return SumScale::kDword;
  if (!kAnyByte) return SumScale::kPairs;
  const bool pays = kSpec.group / 4 <= 3 * kStepsInShort<kSpec>;
  return pays ? SumScale::kShort : SumScale::kDword;
}();

/// Rows of a panel: wide registers hold a group, and two of them make use of each activation.
inline constexpr size_t kPanelRows = CROSSOVER_ROWS_16 ? 2 * kPackedRows : kPackedRows;

template <PackedSpec kSpec>
struct UnitPanel {
  static constexpr Factor kKind = kFactor<kSpec>;
  static constexpr size_t kSteps = kSpec.unit_columns() / (kKind == Factor::kShort ? 2 : 4);
  static constexpr size_t kGroups = std::max<size_t>(kSpec.groups(), 2);
  static constexpr size_t kBlocks = kSpec.has_groups() ? 1 : kPackedChunk / 32;
  /// What a scaled code is too large by.
  static constexpr int kExcess = kKind == Factor::kScaled ? -RangeOfScaled(kSpec).least : 0;
  static constexpr bool kHasSums =
      kSpec.has_groups() && (kSpec.has_min() || (kOffset<kSpec> != 0 && kKind != Factor::kScaled));

  // [step][rows × the columns of a dword]
  alignas(64) uint8_t factors[kSteps][4 * kPanelRows];
  alignas(64) int32_t scales[kGroups][kPanelRows];  // as kSumScale wants them
  // What sums of activations meet, two groups a dword.
  alignas(64) int32_t sums[kGroups / 2][kPanelRows];
  alignas(64) float d[kBlocks][kPanelRows];
  alignas(64) float m[kBlocks][kPanelRows];

  /// Rows [first, first + 16) from a unit of their group.
  void Fill(const PackedUnit& unit, const PackedGeometry& geometry, size_t first) {
    for (size_t from = 0; from < kPackedRows; from += kLaneRows) {
      VBytes quads[4], min_quads[4];
      const size_t row = first + from;
      LoadScaleQuads<kSpec>(unit.scales + kSpec.half_bytes(), from, quads, min_quads);
      FillSlots(unit.codes + 4 * from, row, quads, std::make_index_sequence<kSlots>());
      if constexpr (kSpec.has_groups()) {
        FillScales(quads, min_quads, row, std::make_index_sequence<kSpec.groups() / 2>());
        FillHalves(unit.scales + 2 * from, 0, row, kSpec.has_min());
      } else {
        for (size_t b = 0; b < kPackedChunk / geometry.block; ++b) {
          FillHalves(unit.scales + b * geometry.half_bytes + 2 * from, b, row,
                     geometry.scales != PackedScales::kHalf);
        }
      }
    }
  }

 private:
  static constexpr size_t kSlots = kSpec.unit_columns() / kSlotColumns;

  template <size_t... kSlot>
  HWY_INLINE void FillSlots(const uint8_t* from, size_t row, const VBytes* quads,
                            std::index_sequence<kSlot...>) {
    (FillSlot<kSlot>(from, row, quads), ...);
  }

  template <size_t kSlot>
  HWY_INLINE void FillSlot(const uint8_t* from, size_t row, const VBytes* quads) {
    const PackedBytes d8;
    const uint8_t* chunk = from + kSlot / kChunkSlots * kSpec.chunk_bytes();
    VShorts scale, excess;
    if constexpr (kKind == Factor::kScaled) {
      constexpr size_t kGroup = kSlot * kSlotColumns / kSpec.group;
      const VInts s = Scale<kGroup>(quads);
      scale = hn::BitCast(PackedShorts(), Halves(s, s));
      excess = ExcessBytes(scale);
    }
    for (size_t q = 0; q < 4; ++q) {
      const VBytes code = FactorCodes<kSpec, kSlot % kChunkSlots, 0>(chunk, q);
      const size_t quad = kSlot * 4 + q;
      if constexpr (kKind == Factor::kShort) {
        hn::StoreU(QuadShorts<0>(code), d8, &factors[2 * quad][4 * row]);
        hn::StoreU(QuadShorts<2>(code), d8, &factors[2 * quad + 1][4 * row]);
      } else if constexpr (kKind == Factor::kScaled) {
        hn::StoreU(ScaledBytes(code, scale, excess), d8, &factors[quad][4 * row]);
      } else {
        hn::StoreU(code, d8, &factors[quad][4 * row]);
      }
    }
  }

  /// Signed bytes kFirst and kFirst + 1 of each dword, in 16 bits.
  template <uint8_t kFirst>
  static HWY_INLINE VBytes QuadShorts(VBytes codes) {
    constexpr uint8_t a = kFirst, b = kFirst + 1, o = 0x80;
    alignas(16) static constexpr uint8_t kUpper[16] = {o, a,     o, b,     o, a + 4,  o, b + 4,
                                                       o, a + 8, o, b + 8, o, a + 12, o, b + 12};
    const PackedBytes d8;
    const VBytes upper = hn::TableLookupBytesOr0(codes, hn::LoadDup128(d8, kUpper));
    return hn::BitCast(d8, hn::ShiftRight<8>(hn::BitCast(PackedShorts(), upper)));
  }

  /// What scale · code lacks in each byte: -scale · offset + kExcess, modulo 256.
  static HWY_INLINE VShorts ExcessBytes(VShorts scale) {
    const PackedShorts d16;
    const VShorts v = hn::Sub(hn::Set(d16, static_cast<int16_t>(kExcess)),
                              hn::Mul(scale, hn::Set(d16, static_cast<int16_t>(kSpec.offset))));
    return hn::Or(hn::And(v, hn::Set(d16, 0xff)), hn::ShiftLeft<8>(v));
  }

  /// Modulo 256 throughout, as what is left of the sum is less.
  static HWY_INLINE VBytes ScaledBytes(VBytes codes, VShorts scale, VShorts excess) {
    const PackedBytes d8;
    const PackedShorts d16;
    const VShorts even = hn::Set(d16, 0xff);
    const VShorts c = hn::BitCast(d16, codes);
    const VShorts low = hn::Mul(hn::And(c, even), scale);
    const VShorts high = hn::Mul(hn::AndNot(even, c), scale);
    const VBytes scaled =
        SelectBits(hn::BitCast(d8, even), hn::BitCast(d8, low), hn::BitCast(d8, high));
    return hn::Add(scaled, hn::BitCast(d8, excess));
  }

  template <size_t kGroup>
  static HWY_INLINE VInts Scale(const VBytes* quads) {
    return hn::Sub(QuadByte<kGroup % 4>(quads[kGroup / 4]),
                   hn::Set(PackedInts(), kSpec.scale_bias()));
  }

  template <size_t... kPairs>
  HWY_INLINE void FillScales(const VBytes* quads, const VBytes* min_quads, size_t row,
                             std::index_sequence<kPairs...>) {
    (FillPair<kPairs>(quads, min_quads, row), ...);
  }

  template <size_t kPair>
  HWY_INLINE void FillPair(const VBytes* quads, const VBytes* min_quads, size_t row) {
    const PackedInts di;
    const VInts first = Scale<2 * kPair>(quads);
    const VInts second = Scale<2 * kPair + 1>(quads);
    if constexpr (kKind != Factor::kScaled) {
      hn::StoreU(ScaleOfSums(first), di, &scales[2 * kPair][row]);
      hn::StoreU(ScaleOfSums(second), di, &scales[2 * kPair + 1][row]);
    }
    if constexpr (kSpec.has_min()) {
      constexpr size_t kQuad = kPair / 2, kByte = 2 * kPair % 4;
      hn::StoreU(Halves(QuadByte<kByte>(min_quads[kQuad]), QuadByte<kByte + 1>(min_quads[kQuad])),
                 di, &sums[kPair][row]);
    } else if constexpr (kHasSums) {
      constexpr int kShift = Log2(kOffset<kSpec>);
      hn::StoreU(Halves(hn::ShiftLeft<kShift>(first), hn::ShiftLeft<kShift>(second)), di,
                 &sums[kPair][row]);
    }
  }

  static HWY_INLINE VInts ScaleOfSums(VInts scale) {
    if constexpr (kSumScale<kSpec> == SumScale::kPairs) return Halves(scale, scale);
    if constexpr (kSumScale<kSpec> == SumScale::kShort) {
      return hn::And(scale, hn::Set(PackedInts(), 0xffff));
    }
    return scale;
  }

  static HWY_INLINE VInts Halves(VInts low, VInts high) {
    return hn::Or(hn::And(low, hn::Set(PackedInts(), 0xffff)), hn::ShiftLeft<16>(high));
  }

  HWY_INLINE void FillHalves(const uint8_t* halves, size_t block, size_t row, bool has_second) {
    hn::StoreU(LoadRowHalves(halves), PackedFloats(), &d[block][row]);
    if (has_second) hn::StoreU(LoadRowHalves(halves + 32), PackedFloats(), &m[block][row]);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_BYTE_GEMM

#endif  // CROSSOVER_KERNELS_PACKED_UNIT_PANEL_INL_H_

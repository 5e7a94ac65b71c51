// Integer products of one unit of the packed form (spec.h) with 8-bit activations, a lane a row.
//
//   Σ_k w[r][k] · x[k] = d[r]·xscale · Σ_g scale[g][r] · (Σ_{k∈g} code[r][k]·xcode[k] -
//   offset·xsum[g])
//                      - m[r]·xscale · Σ_g min[g][r] · xsum[g]
#if defined(CROSSOVER_KERNELS_PACKED_UNIT_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_UNIT_DOT_INL_H_
#undef CROSSOVER_KERNELS_PACKED_UNIT_DOT_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_UNIT_DOT_INL_H_
#endif

#include <cstring>

#include "kernels/matmul_kernels.h"
#include "kernels/packed/codes-inl.h"
#include "kernels/packed/lane_dot-inl.h"
#include "kernels/packed/read.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// One token's activations, as Q8Rows has them.
struct TokenView {
  const int8_t* codes;
  const float* scales;
  const float* sums;  // of groups
  const int32_t* negative_sums;
  const int8_t* high_sums;
  const int8_t* low_sums;
};

/// Whether blocks with a scale each have an offset: those of 8 bits under every kind of scale.
template <PackedSpec kSpec>
constexpr bool HasOffset(const PackedGeometry& geometry) {
  return kSpec.bits == 8 || geometry.scales == PackedScales::kHalf;
}

#if HWY_TARGET != HWY_SCALAR

// A core keeps some twenty cache lines in flight, which any stall lowers, so lines are asked for
// well ahead of use, one by one (a burst would find no room): into L2 from far, into L1 from near,
// those of long units from both halves in turn, as they are used.
// In bytes; chosen by measurement (docs/measurements.md).
template <size_t kBits>
constexpr bool kHalvesInTurn = kBits > 4;
template <size_t kBits>
constexpr size_t kAheadL1 = kHalvesInTurn<kBits> ? 6144 : 4096;
template <size_t kBits>
constexpr size_t kAheadL2 = kHalvesInTurn<kBits> ? 12288 : 8192;

/// Asks for the lines ahead of `p`, here and not earlier: compilers like to gather prefetches, so
/// these depend on a sum.
template <size_t kBits>
HWY_INLINE void PrefetchHere(const uint8_t* p, VInts& sum) {
#if HWY_ARCH_X86
  asm volatile("prefetcht0 %1\n\tprefetcht1 %2"
               : "+v"(sum.raw)
               : "m"(p[kAheadL1<kBits>]), "m"(p[kAheadL2<kBits>]));
#else
  (void)sum;
  __builtin_prefetch(p + kAheadL1<kBits>, 0, 3);
  __builtin_prefetch(p + kAheadL2<kBits>, 0, 2);
#endif
}

constexpr int Log2(size_t n) { return n <= 1 ? 0 : 1 + Log2(n / 2); }

/// Codes that are multiplied as signed bytes, 128 less than they are stored.
template <PackedSpec kSpec>
constexpr bool kSignedCodes = !kAnyByte && (kSpec.bits == 8 || kSpec.has_levels);

/// What sums of products still have too much, as a power of two; 0: nothing.
template <PackedSpec kSpec>
constexpr size_t kOffset = kSignedCodes<kSpec> ? 0 : kSpec.offset;

/// How far up the codes of a slot are left.
template <PackedSpec kSpec, size_t kSlot>
constexpr int kSlotShift =
    kAnyByte && !kSpec.has_levels ? static_cast<int>(SlotOf(kSpec.bits, kSlot % 8).shift) : 0;

/// What four columns of a slot are multiplied by, kShift up: codes, levels, or both as signed
/// bytes.
template <PackedSpec kSpec, size_t kSlot, int kShift>
HWY_INLINE VBytes FactorCodes(const uint8_t* HWY_RESTRICT chunk, size_t quad) {
  VBytes codes = SlotCodes<kSpec.bits, kSlot, kShift>(chunk, quad);
  if constexpr (kSpec.has_levels) codes = LevelCodes(codes);
  if constexpr (kSignedCodes<kSpec>) codes = hn::Xor(codes, hn::Set(PackedBytes(), 0x80));
  return codes;
}

/// Products of kTokens tokens with 16 rows, or as many as a register has, of which the first is
/// `first_row`. acc[t] += W · x[t].
template <PackedSpec kSpec, size_t kTokens>
class UnitDot {
 public:
  HWY_INLINE UnitDot(const PackedUnit& unit, size_t first_row, const TokenView* x, size_t column,
                     VFloats* acc)
      : codes_(unit.codes + 4 * first_row),
        scales_(unit.scales),
        halves_(unit.scales + 2 * first_row),
        first_row_(first_row),
        x_(x),
        column_(column),
        acc_(acc) {}

  /// A unit of sub-blocks, all integers up to its end.
  HWY_INLINE void AddGroups() {
    LoadScaleQuads<kSpec>(scales_ + kSpec.half_bytes(), first_row_, quads_, min_quads_);
    for (size_t t = 0; t < kTokens; ++t) total_[t] = bias_[t] = mins_[t] = hn::Zero(PackedInts());
    if constexpr (kSpec.has_min()) AddMins();
    SlotsFrom<0>();
    const PackedFloats df;
    const VFloats d = LoadRowHalves(halves_);
    for (size_t t = 0; t < kTokens; ++t) {
      const VFloats xs = hn::Set(df, x_[t].scales[column_ / 256]);
      if constexpr (kSpec.scale_bias() != 0) {
        total_[t] = hn::Sub(total_[t], hn::ShiftLeft<Log2(kSpec.scale_bias())>(bias_[t]));
      }
      acc_[t] = hn::MulAdd(hn::ConvertTo(df, total_[t]), hn::Mul(d, xs), acc_[t]);
      if constexpr (kSpec.has_min()) {
        const VFloats m = hn::Mul(LoadRowHalves(halves_ + 32), xs);
        acc_[t] = hn::NegMulAdd(hn::ConvertTo(df, mins_[t]), m, acc_[t]);
      }
    }
  }

  /// A unit of groups of `block` columns with a scale each.
  HWY_INLINE void AddBlocks(const PackedGeometry& geometry) {
    geometry_ = &geometry;
    SlotsFrom<0>();
  }

 private:
  // Sums that wait for each other fill the core's queue: one or two tokens run two of them.
  static constexpr bool kDual = kTokens <= 2;

  /// dots += products of four columns of a slot.
  template <size_t kSlot, size_t kStream>
  HWY_INLINE void AddQuad(size_t q) {
    constexpr size_t kInChunk = kSlot % kChunkSlots;
    const uint8_t* chunk = codes_ + kSlot / kChunkSlots * kSpec.chunk_bytes();
    const VBytes codes = FactorCodes<kSpec, kInChunk, kSlotShift<kSpec, kSlot>>(chunk, q);
    for (size_t t = 0; t < kTokens; ++t) {
      int32_t quad;
      std::memcpy(&quad, x_[t].codes + column_ + kSlot * kSlotColumns + 4 * q, 4);
      dots_[kStream][t] = LaneDot<kSignedCodes<kSpec>>(dots_[kStream][t], codes, quad);
    }
  }

  /// The lines that belong to one of kSteps steps of a unit.
  template <size_t kSlot>
  HWY_INLINE void PrefetchStep(size_t q) {
    constexpr size_t kSteps = kSpec.unit_columns() / kSlotColumns * 4 / (kDual ? 2 : 1);
    constexpr size_t kLines = kSpec.code_bytes() / 64;
    const size_t step = kSlot * 4 + q;
    for (size_t i = step * kLines / kSteps; i < (step + 1) * kLines / kSteps; ++i) {
      const size_t line = kDual && kHalvesInTurn<kSpec.bits> ? i % 2 * (kLines / 2) + i / 2 : i;
      PrefetchHere<kSpec.bits>(codes_ + 64 * line, dots_[0][0]);
    }
    if constexpr (kSpec.has_groups()) {
      constexpr size_t kScaleLines = (kSpec.scale_bytes(256) + 63) / 64;
      if (step * kScaleLines % kSteps < kScaleLines) {
        PrefetchHere<kSpec.bits>(scales_ + 64 * (step * kScaleLines / kSteps), dots_[0][0]);
      }
    }
  }

  /// Slots from kSlot on to the end of the unit, or of its first half, which then runs beside the
  /// second.
  template <size_t kSlot>
  HWY_INLINE void SlotsFrom() {
    constexpr size_t kSlots = kSpec.unit_columns() / kSlotColumns;
    if constexpr (kDual && kSlot < kSlots / 2) {
      Begin<kSlot, 0>();
      Begin<kSlot + kSlots / 2, 1>();
      HWY_UNROLL(4)
      for (size_t q = 0; q < 4; ++q) {
        AddQuad<kSlot, 0>(q);
        AddQuad<kSlot + kSlots / 2, 1>(q);
        PrefetchStep<kSlot>(q);
      }
      End<kSlot, 0>();
      End<kSlot + kSlots / 2, 1>();
      SlotsFrom<kSlot + 1>();
    } else if constexpr (!kDual && kSlot < kSlots) {
      Begin<kSlot, 0>();
      HWY_UNROLL(4)
      for (size_t q = 0; q < 4; ++q) {
        AddQuad<kSlot, 0>(q);
        PrefetchStep<kSlot>(q);
      }
      End<kSlot, 0>();
      SlotsFrom<kSlot + 1>();
    }
  }

  /// Before a slot: a group's sums start, or are lowered to where this slot's codes are.
  template <size_t kSlot, size_t kStream>
  HWY_INLINE void Begin() {
    const size_t column = column_ + kSlot * kSlotColumns;
    if constexpr (kSpec.has_groups()) {
      if constexpr (kSlot * kSlotColumns % kSpec.group == 0) {
        StartSums<kSlot, kStream>(column / kSpec.group, true);
      } else {
        LowerSums<kSlotShift<kSpec, kSlot - 1> - kSlotShift<kSpec, kSlot>, kStream>();
      }
    } else if constexpr (kSlot == 0) {
      StartSums<kSlot, kStream>(column >> geometry_->block_shift, HasOffset<kSpec>(*geometry_));
    } else {
      if (kSlot % 2 == 0 && (kSlot * kSlotColumns & (geometry_->block - 1)) == 0) {
        StartSums<kSlot, kStream>(column >> geometry_->block_shift, HasOffset<kSpec>(*geometry_));
      } else if (kDual && kSlot == kChunkSlots / 2) {
        StartSums<kSlot, kStream>(0, false);
      } else {
        LowerSums<kSlotShift<kSpec, kSlot - 1> - kSlotShift<kSpec, kSlot>, kStream>();
      }
    }
  }

  /// After a slot, the last of its group: the sums go where they belong.
  template <size_t kSlot, size_t kStream>
  HWY_INLINE void End() {
    if constexpr (kSpec.has_groups()) {
      if constexpr ((kSlot + 1) * kSlotColumns % kSpec.group == 0) {
        LowerSums<kSlotShift<kSpec, kSlot>, kStream>();
        AddGroup<kSlot * kSlotColumns / kSpec.group, kStream>();
      }
    } else if constexpr (kSlot % 2 == 1) {
      if (((kSlot + 1) * kSlotColumns & (geometry_->block - 1)) == 0) {
        LowerSums<kSlotShift<kSpec, kSlot>, kStream>();
        if (kStream == 1 && geometry_->block == kPackedChunk) {
          for (size_t t = 0; t < kTokens; ++t) dots_[1][t] = hn::Add(dots_[0][t], dots_[1][t]);
        }
        AddBlockInOrder<kSlot, kStream>();
      } else if constexpr (kDual && kSlot + 1 == kChunkSlots / 2) {
        LowerSums<kSlotShift<kSpec, kSlot>, kStream>();  // the first half of a long block
      }
    }
  }

  /// Of two streams, the second's first block waits for the end of the first: acc gets the blocks
  /// in the order of their columns, for any number of tokens.
  template <size_t kSlot, size_t kStream>
  HWY_INLINE void AddBlockInOrder() {
    if constexpr (kStream == 1 && kSlot + 1 < kChunkSlots) {
      for (size_t t = 0; t < kTokens; ++t) held_[t] = dots_[1][t];
    } else {
      AddBlock(kSlot * kSlotColumns >> geometry_->block_shift, dots_[kStream]);
    }
    if constexpr (kDual && kStream == 0 && kSlot + 1 == kChunkSlots / 2) {
      if (geometry_->block == kPackedChunk / 4) AddBlock(2, held_);
    }
  }

  /// dots = -offset · xsum[group], as high as the slot's products; 0 where a minimum does that.
  template <size_t kSlot, size_t kStream>
  HWY_INLINE void StartSums(size_t group, bool has_offset) {
    for (auto& dot : dots_[kStream]) dot = hn::Zero(PackedInts());
    if constexpr (kOffset<kSpec> != 0) {
      if (!has_offset) return;
      for (size_t t = 0; t < kTokens; ++t) {
        dots_[kStream][t] = hn::ShiftLeft<Log2(kOffset<kSpec>) + kSlotShift<kSpec, kSlot>>(
            hn::Set(PackedInts(), x_[t].negative_sums[group]));
      }
    }
  }

  template <int kBits, size_t kStream>
  HWY_INLINE void LowerSums() {
    if constexpr (kBits != 0) {
      for (auto& dot : dots_[kStream]) dot = hn::ShiftRight<kBits>(dot);
    }
  }

  template <size_t kGroup, size_t kStream>
  HWY_INLINE void AddGroup() {
    constexpr size_t kLargest =
        (kSpec.offset != 0 ? kSpec.offset : (size_t{1} << kSpec.bits) - 1) * 127 * kSpec.group;
    const VInts scale = QuadByte<kGroup % 4>(quads_[kGroup / 4]);
    for (size_t t = 0; t < kTokens; ++t) {
      total_[t] = AddProduct<kLargest <= 32767>(total_[t], dots_[kStream][t], scale);
      if constexpr (kSpec.scale_bias() != 0) bias_[t] = hn::Add(bias_[t], dots_[kStream][t]);
    }
  }

  /// mins = Σ_g min[g] · xsum[g], four groups at a time, the sums in two bytes.
  HWY_INLINE void AddMins() {
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t i = 0; i < kSpec.quads(); ++i) {
        int32_t high;
        std::memcpy(&high, x_[t].high_sums + column_ / kSpec.group + 4 * i, 4);
        mins_[t] = LaneDot<false>(mins_[t], min_quads_[i], high);
      }
      mins_[t] = hn::ShiftLeft<GroupSums::kHighShift>(mins_[t]);
      for (size_t i = 0; i < kSpec.quads(); ++i) {
        int32_t low;
        std::memcpy(&low, x_[t].low_sums + column_ / kSpec.group + 4 * i, 4);
        mins_[t] = LaneDot<false>(mins_[t], min_quads_[i], low);
      }
    }
  }

  /// acc += the sums of the unit's block `index`, scaled.
  HWY_INLINE void AddBlock(size_t index, const VInts* dots) {
    const PackedFloats df;
    const uint8_t* halves = halves_ + index * geometry_->half_bytes;
    PrefetchHere<kSpec.bits>(halves, dots_[0][0]);
    const VFloats d = LoadRowHalves(halves);
    const size_t block = (column_ >> geometry_->block_shift) + index;
    for (size_t t = 0; t < kTokens; ++t) {
      const VFloats xs = hn::Set(df, x_[t].scales[block]);
      acc_[t] = hn::MulAdd(hn::ConvertTo(df, dots[t]), hn::Mul(d, xs), acc_[t]);
    }
    if (geometry_->scales == PackedScales::kHalf) return;
    const VFloats second = LoadRowHalves(halves + 32);
    const VFloats min =
        geometry_->scales == PackedScales::kHalfAndMin ? second : hn::Neg(hn::Mul(d, second));
    for (size_t t = 0; t < kTokens; ++t) {
      acc_[t] = hn::MulAdd(min, hn::Set(df, x_[t].sums[block]), acc_[t]);
    }
  }

  const uint8_t* codes_;
  const uint8_t* scales_;
  const uint8_t* halves_;
  size_t first_row_;
  const TokenView* x_;
  size_t column_;
  VFloats* acc_;
  const PackedGeometry* geometry_ = nullptr;
  VInts dots_[kDual ? 2 : 1][kTokens];
  VInts held_[kTokens];  // sums of a block
  VInts total_[kTokens];
  VInts bias_[kTokens];
  VInts mins_[kTokens];
  VBytes quads_[4];
  VBytes min_quads_[4];
};

#else

/// The same sums in the same order of groups.
template <PackedSpec kSpec, size_t kTokens>
class UnitDot {
 public:
  UnitDot(const PackedUnit& unit, size_t, const TokenView* x, size_t column, float* acc)
      : unit_(unit), x_(x), column_(column), acc_(acc) {}

  void AddGroups() {
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t r = 0; r < kPackedRows; ++r) {
        int total = 0;
        int mins = 0;
        for (size_t g = 0; g < kSpec.groups(); ++g) {
          const PackedScaleMin sub =
              ReadPackedScale(kSpec, unit_.scales + kSpec.half_bytes(), r, g);
          total += sub.scale * Dot(t, r, g * kSpec.group, kSpec.group, true);
          mins -= sub.min * x_[t].negative_sums[column_ / kSpec.group + g];
        }
        const float xs = x_[t].scales[column_ / 256];
        float& acc = acc_[t * kPackedRows + r];
        acc += static_cast<float>(total) * (ReadPackedHalf(unit_.scales, r) * xs);
        if constexpr (kSpec.has_min()) {
          acc -= static_cast<float>(mins) * (ReadPackedHalf(unit_.scales + 32, r) * xs);
        }
      }
    }
  }

  void AddBlocks(const PackedGeometry& geometry) {
    const bool has_offset = HasOffset<kSpec>(geometry);
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t r = 0; r < kPackedRows; ++r) {
        for (size_t b = 0; b < kPackedChunk / geometry.block; ++b) {
          const uint8_t* halves = unit_.scales + b * geometry.half_bytes;
          const size_t x_block = column_ / geometry.block + b;
          const float d = ReadPackedHalf(halves, r);
          const int dot = Dot(t, r, b * geometry.block, geometry.block, has_offset);
          float& acc = acc_[t * kPackedRows + r];
          acc += static_cast<float>(dot) * (d * x_[t].scales[x_block]);
          if (geometry.scales == PackedScales::kHalf) continue;
          const float second = ReadPackedHalf(halves + 32, r);
          const bool is_min = geometry.scales == PackedScales::kHalfAndMin;
          acc += (is_min ? second : -(d * second)) * x_[t].sums[x_block];
        }
      }
    }
  }

 private:
  int Dot(size_t t, size_t r, size_t first, size_t n, bool has_offset) const {
    const int offset = has_offset ? static_cast<int>(kSpec.offset) : 0;
    int dot = 0;
    for (size_t k = first; k < first + n; ++k) {
      const uint8_t* chunk = unit_.codes + k / kPackedChunk * kSpec.chunk_bytes();
      const int code = ReadPackedCode(kSpec, chunk, r, k % kPackedChunk);
      dot += (code - offset) * x_[t].codes[column_ + k];
    }
    return dot;
  }

  const PackedUnit& unit_;
  const TokenView* x_;
  size_t column_;
  float* acc_;
};

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_UNIT_DOT_INL_H_

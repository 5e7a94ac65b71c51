// Reading the packed form (spec.h): codes and scales of 16 rows as vectors, a
// dword lane a row.
#if defined(CROSSOVER_KERNELS_PACKED_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_CODES_INL_H_
#undef CROSSOVER_KERNELS_PACKED_CODES_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_CODES_INL_H_
#endif

#include <cstring>

#include "kernels/packed/spec.h"
#include "kernels/simd-inl.h"
#include "quant/half.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

// A register of rows: 16, 8 or 4 of them.
using PackedBytes = hn::CappedTag<uint8_t, 64>;
using PackedInts = hn::Repartition<int32_t, PackedBytes>;
using PackedFloats = hn::Repartition<float, PackedBytes>;
using PackedWords = hn::Repartition<uint16_t, PackedBytes>;
using VBytes = hn::Vec<PackedBytes>;
using VInts = hn::Vec<PackedInts>;
using VFloats = hn::Vec<PackedFloats>;

inline constexpr size_t kLaneRows = hn::MaxLanes(PackedInts());

template <int kBits>
HWY_INLINE VBytes ShiftBits(VBytes v) {
  const PackedBytes d;
  const PackedWords d16;
  if constexpr (kBits > 0) return hn::BitCast(d, hn::ShiftRight<kBits>(hn::BitCast(d16, v)));
  if constexpr (kBits < 0) return hn::BitCast(d, hn::ShiftLeft<-kBits>(hn::BitCast(d16, v)));
  return v;
}

/// Codes of quad kQuad (0 … 7) of a chunk; `chunk` points to this register's
/// rows. 2 to 5 ops.
template <const PackedSpec& kSpec, size_t kQuad>
HWY_INLINE VBytes PackedCodes(const uint8_t* HWY_RESTRICT chunk) {
  const PackedBytes d;
  constexpr size_t kLow = kSpec.low_bits;
  constexpr size_t kHigh = kSpec.high_bits;
  constexpr size_t kPerLow = 8 / kLow;
  VBytes codes = hn::LoadU(d, chunk + kQuad / kPerLow * 64);
  if constexpr (kLow < 8) {
    constexpr auto kMask = static_cast<uint8_t>((1 << kLow) - 1);
    codes =
        hn::And(ShiftBits<static_cast<int>(kLow * (kQuad % kPerLow))>(codes), hn::Set(d, kMask));
  }
  if constexpr (kHigh > 0) {
    constexpr size_t kPerHigh = 8 / kHigh;
    constexpr int kShift = static_cast<int>(kHigh * (kQuad % kPerHigh)) - static_cast<int>(kLow);
    constexpr auto kMask = static_cast<uint8_t>(((1 << kHigh) - 1) << kLow);
    const VBytes high = hn::LoadU(d, chunk + kLow * 64 + kQuad / kPerHigh * 64);
    codes = hn::OrAnd(codes, ShiftBits<kShift>(high), hn::Set(d, kMask));
  }
  if constexpr (kSpec.has_levels) {
    const hn::Repartition<int8_t, PackedBytes> di;
    const auto table = hn::LoadDup128(di, kSpec.levels);
    codes = hn::BitCast(d, hn::TableLookupBytes(table, hn::BitCast(di, codes)));
  }
  return codes;
}

/// This register's rows of 16 bytes.
HWY_INLINE VInts LoadRowBytes(const uint8_t* p) {
  return hn::PromoteTo(PackedInts(), hn::LoadU(hn::Rebind<uint8_t, PackedInts>(), p));
}

HWY_INLINE VFloats LoadRowHalves(const uint8_t* p) {
  const hn::Rebind<hwy::float16_t, PackedFloats> d16;
  return hn::PromoteTo(PackedFloats(), hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
}

/// Sub-block scale, and minimum where the format has one, of group g. `unit`
/// points to this register's rows in the unit's first table.
template <const PackedSpec& kSpec>
HWY_INLINE void PackedGroup(const uint8_t* HWY_RESTRICT sub, const uint8_t* HWY_RESTRICT high,
                            size_t g, VInts& scale, VInts& min) {
  const PackedInts d;
  const VInts nibble = hn::Set(d, 15);
  const VInts bits = hn::Set(d, 0x30);
  if constexpr (kSpec.scales == PackedScales::kNibblePairs) {
    const VInts pair = LoadRowBytes(sub + g * 16);
    scale = hn::And(pair, nibble);
    min = hn::ShiftRight<4>(pair);
  } else if constexpr (kSpec.scales == PackedScales::kSixBitPairs) {
    const VInts pair = LoadRowBytes(sub + g * 16);
    const VInts top =
        hn::ShiftRightSame(LoadRowBytes(high + g / 2 * 16), static_cast<int>(4 * (g & 1)));
    scale = hn::OrAnd(hn::And(pair, nibble), hn::ShiftLeft<4>(top), bits);
    min = hn::OrAnd(hn::ShiftRight<4>(pair), hn::ShiftLeft<2>(top), bits);
  } else if constexpr (kSpec.scales == PackedScales::kSixBits) {
    const VInts low =
        hn::ShiftRightSame(LoadRowBytes(sub + g / 2 * 16), static_cast<int>(4 * (g & 1)));
    const VInts top =
        hn::ShiftRightSame(LoadRowBytes(high + g / 4 * 16), static_cast<int>(2 * (g & 3)));
    scale = hn::Sub(hn::OrAnd(hn::And(low, nibble), hn::ShiftLeft<4>(top), bits), hn::Set(d, 32));
    min = scale;
  } else if constexpr (kSpec.scales == PackedScales::kBytes) {
    const hn::Rebind<int8_t, PackedInts> d8;
    scale = hn::PromoteTo(d, hn::LoadU(d8, reinterpret_cast<const int8_t*>(sub + g * 16)));
    min = scale;
  }
}

/// Where a register's rows lie in a unit.
template <const PackedSpec& kSpec>
struct UnitRows {
  const uint8_t* d;
  const uint8_t* m;
  const uint8_t* sub;
  const uint8_t* high;
  const uint8_t* codes;

  HWY_INLINE UnitRows(const uint8_t* unit, size_t first_row)
      : d(unit + 2 * first_row),
        m(unit + 32 + 2 * first_row),
        sub(unit + kSpec.sub_offset() + first_row),
        high(unit + kSpec.high_offset() + first_row),
        codes(unit + kSpec.scale_bytes() + 4 * first_row) {}
};

#else

// A plain reading of the packed form, for machines with no vectors.
template <const PackedSpec& kSpec>
HWY_INLINE int ScalarCode(const uint8_t* chunk, size_t row, size_t k) {
  const size_t quad = k / 4;
  const auto plane = [&](const uint8_t* p, size_t bits) {
    const size_t quads = 8 / bits;
    return p[quad / quads * 64 + 4 * row + k % 4] >> (bits * (quad % quads)) & ((1 << bits) - 1);
  };
  int code = plane(chunk, kSpec.low_bits);
  if constexpr (kSpec.high_bits > 0) {
    code |= plane(chunk + kSpec.low_bits * 64, kSpec.high_bits) << kSpec.low_bits;
  }
  if constexpr (kSpec.has_levels) return kSpec.levels[code];
  if constexpr (kSpec.is_signed) return static_cast<int8_t>(code);
  return code - static_cast<int>(kSpec.offset);
}

struct ScaleMinOfGroup {
  int scale;
  int min;
};

template <const PackedSpec& kSpec>
HWY_INLINE ScaleMinOfGroup ScalarGroup(const uint8_t* unit, size_t row, size_t g) {
  const uint8_t* sub = unit + kSpec.sub_offset() + row;
  const uint8_t* high = unit + kSpec.high_offset() + row;
  switch (kSpec.scales) {
    case PackedScales::kHalf:
    case PackedScales::kHalfAndMin:
      return {1, 1};
    case PackedScales::kNibblePairs:
      return {sub[g * 16] & 15, sub[g * 16] >> 4};
    case PackedScales::kSixBitPairs: {
      const int top = high[g / 2 * 16] >> (4 * (g & 1));
      return {(sub[g * 16] & 15) | (top & 3) << 4, sub[g * 16] >> 4 | (top >> 2 & 3) << 4};
    }
    case PackedScales::kSixBits:
      return {
          ((sub[g / 2 * 16] >> (4 * (g & 1)) & 15) | (high[g / 4 * 16] >> (2 * (g & 3)) & 3) << 4) -
              32,
          0};
    case PackedScales::kBytes:
      return {static_cast<int8_t>(sub[g * 16]), 0};
  }
  return {};
}

/// One weight of a row group.
template <const PackedSpec& kSpec>
HWY_INLINE float ScalarWeight(const uint8_t* group, size_t row, size_t column) {
  const uint8_t* unit = group + column / kSpec.block * kSpec.unit_bytes();
  const size_t k = column % kSpec.block;
  const uint8_t* chunk = unit + kSpec.scale_bytes() + k / kPackedChunk * kSpec.chunk_bytes();
  const ScaleMinOfGroup g = ScalarGroup<kSpec>(unit, row, k / kSpec.group);
  quant::Half d, m;
  std::memcpy(&d, unit + 2 * row, 2);
  std::memcpy(&m, unit + 32 + 2 * row, 2);
  const float scale = d.ToFloat() * static_cast<float>(g.scale);
  const auto code = static_cast<float>(ScalarCode<kSpec>(chunk, row, k % kPackedChunk));
  if constexpr (kSpec.has_min()) return scale * code - m.ToFloat() * static_cast<float>(g.min);
  if constexpr (kSpec.scales == PackedScales::kHalfAndMin) return scale * code + m.ToFloat();
  return scale * code;
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_CODES_INL_H_

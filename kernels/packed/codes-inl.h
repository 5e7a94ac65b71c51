// Reading the packed form (spec.h): codes and scales of 16 rows as vectors, a dword lane a row.
#if defined(CROSSOVER_KERNELS_PACKED_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_CODES_INL_H_
#undef CROSSOVER_KERNELS_PACKED_CODES_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_CODES_INL_H_
#endif

#include <cstring>

#include "kernels/packed/slots.h"
#include "kernels/packed/spec.h"
#include "kernels/simd-inl.h"
#include "quant/half.h"
#include "quant/iq4_table.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

// A register of rows: 16, 8 or 4 of them.
using PackedBytes = hn::CappedTag<uint8_t, 64>;
using PackedInts = hn::Repartition<int32_t, PackedBytes>;
using PackedFloats = hn::Repartition<float, PackedBytes>;
using VBytes = hn::Vec<PackedBytes>;
using VInts = hn::Vec<PackedInts>;
using VFloats = hn::Vec<PackedFloats>;

inline constexpr size_t kLaneRows = hn::MaxLanes(PackedInts());

/// Bytes shifted to the right by kBits (left if negative); neighbours' bits come in.
template <int kBits>
HWY_INLINE VBytes ShiftBits(VBytes v) {
  const PackedBytes d;
  const hn::Repartition<uint16_t, PackedBytes> d16;
  if constexpr (kBits > 0) return hn::BitCast(d, hn::ShiftRight<kBits>(hn::BitCast(d16, v)));
  if constexpr (kBits < 0) return hn::BitCast(d, hn::ShiftLeft<-kBits>(hn::BitCast(d16, v)));
  return v;
}

/// mask ? yes : no, a bit at a time. (Highway's own looks at each byte's sign only below AVX-512.)
HWY_INLINE VBytes SelectBits(VBytes mask, VBytes yes, VBytes no) {
#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3
  return hn::IfVecThenElse(mask, yes, no);
#else
  return hn::Or(hn::And(mask, yes), hn::AndNot(mask, no));
#endif
}

/// `v` with pieces [kPiece, …) of the slot put in, their lowest bit at kShift.
template <size_t kBits, size_t kSlot, size_t kShift, size_t kPiece>
HWY_INLINE VBytes AddPieces(const uint8_t* HWY_RESTRICT chunk, size_t quad, VBytes v) {
  constexpr Slot kSlotPieces = SlotOf(kBits, kSlot);
  if constexpr (kPiece < kSlotPieces.count) {
    const PackedBytes d;
    constexpr SlotPiece kThis = kSlotPieces.pieces[kPiece];
    constexpr int kDown = static_cast<int>(kThis.from) - static_cast<int>(kThis.to + kShift);
    const VBytes piece = ShiftBits<kDown>(hn::LoadU(d, chunk + (kThis.set * 4 + quad) * 64));
    if constexpr (kPiece == 0) {
      v = piece;
    } else {
      constexpr auto kMask = static_cast<uint8_t>(((1u << kThis.width) - 1) << (kThis.to + kShift));
      v = SelectBits(hn::Set(d, kMask), piece, v);
    }
    return AddPieces<kBits, kSlot, kShift, kPiece + 1>(chunk, quad, v);
  } else {
    return v;
  }
}

/// 2^kShift · the codes of four columns of a slot; kShift is 0, or the slot's own, which is
/// faster. `chunk` points to this register's rows.
template <size_t kBits, size_t kSlot, size_t kShift>
HWY_INLINE VBytes SlotCodes(const uint8_t* HWY_RESTRICT chunk, size_t quad) {
  const PackedBytes d;
  VBytes codes = AddPieces<kBits, kSlot, kShift, 0>(chunk, quad, hn::Zero(d));
  if constexpr (kBits < 8) {
    codes = hn::And(codes, hn::Set(d, static_cast<uint8_t>(((1u << kBits) - 1) << kShift)));
  }
  return codes;
}

/// Codes that a format keeps in a table: levels + 128.
HWY_INLINE VBytes LevelCodes(VBytes indices) {
  const PackedBytes d;
  const hn::Repartition<int8_t, PackedBytes> di;
  const auto table = hn::LoadDup128(di, quant::kIq4Levels.data());
  const VBytes levels = hn::BitCast(d, hn::TableLookupBytes(table, hn::BitCast(di, indices)));
  return hn::Xor(levels, hn::Set(d, 0x80));
}

HWY_INLINE VFloats LoadRowHalves(const uint8_t* p) {
  const hn::Rebind<hwy::float16_t, PackedFloats> d16;
  return hn::PromoteTo(PackedFloats(), hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
}

/// Three vectors of bytes to four quads of six bits: the fourth lies in the others' upper bits,
/// lowest first.
HWY_INLINE void SixBitQuads(VBytes a, VBytes b, VBytes c, VBytes* quads) {
  const PackedBytes d;
  const VBytes low = hn::Set(d, 0x3f);
  quads[0] = hn::And(a, low);
  quads[1] = hn::And(b, low);
  quads[2] = hn::And(c, low);
  const VBytes ab = SelectBits(hn::Set(d, 0x0c), ShiftBits<4>(b), ShiftBits<6>(a));
  const VBytes abc = SelectBits(hn::Set(d, 0x30), ShiftBits<2>(c), ab);
  quads[3] = hn::And(abc, low);
}

/// Sub-block scales as stored, and minima where the format has them, four groups a dword. `table`
/// points to this register's rows, `rows` is their first.
template <PackedSpec kSpec>
HWY_INLINE void LoadScaleQuads(const uint8_t* HWY_RESTRICT table, size_t first_row, VBytes* scales,
                               VBytes* mins) {
  const PackedBytes d;
  const uint8_t* rows = table + 4 * first_row;
  if constexpr (kSpec.scales == PackedScales::kNibblePairs) {
    for (size_t i = 0; i < kSpec.quads(); ++i) {
      const VBytes pairs = hn::LoadU(d, rows + 64 * i);
      scales[i] = hn::And(pairs, hn::Set(d, 15));
      mins[i] = hn::And(ShiftBits<4>(pairs), hn::Set(d, 15));
    }
  } else if constexpr (kSpec.scales == PackedScales::kBytes) {
    for (size_t i = 0; i < kSpec.quads(); ++i) scales[i] = hn::LoadU(d, rows + 64 * i);
  } else if constexpr (kSpec.scales == PackedScales::kSixBits && kSpec.quads() == 2) {
    const hn::Repartition<uint32_t, PackedBytes> du;
    const hn::Rebind<uint16_t, PackedInts> dw;
    const VBytes a = hn::LoadU(d, rows);
    const auto words = hn::PromoteTo(
        du, hn::LoadU(dw, reinterpret_cast<const uint16_t*>(table + 64 + 2 * first_row)));
    const auto nibbles = hn::Or(hn::And(words, hn::Set(du, 0x0f0fu)),
                                hn::And(hn::ShiftLeft<12>(words), hn::Set(du, 0x0f0f0000u)));
    scales[0] = hn::And(a, hn::Set(d, 0x3f));
    scales[1] =
        hn::Or(hn::And(ShiftBits<6>(a), hn::Set(d, 3)), ShiftBits<-2>(hn::BitCast(d, nibbles)));
  } else if constexpr (kSpec.has_groups()) {
    VBytes quads[4];
    SixBitQuads(hn::LoadU(d, rows), hn::LoadU(d, rows + 64), hn::LoadU(d, rows + 128), quads);
    constexpr bool kPairs = kSpec.scales == PackedScales::kSixBitPairs;
    for (size_t i = 0; i < 4; ++i) (kPairs && i >= 2 ? mins[i - 2] : scales[i]) = quads[i];
  }
}

/// Byte kGroup of each dword.
template <size_t kGroup>
HWY_INLINE VInts QuadByte(VBytes quad) {
  alignas(16) static constexpr uint8_t kIndices[16] = {
      kGroup,     0x80, 0x80, 0x80, kGroup + 4,  0x80, 0x80, 0x80,
      kGroup + 8, 0x80, 0x80, 0x80, kGroup + 12, 0x80, 0x80, 0x80};
  const auto indices = hn::LoadDup128(PackedBytes(), kIndices);
  return hn::BitCast(PackedInts(), hn::TableLookupBytesOr0(quad, indices));
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_CODES_INL_H_

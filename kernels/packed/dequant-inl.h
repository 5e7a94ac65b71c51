// The packed form to float32: w = scale · code - min, a lane a row.
#if defined(CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_
#undef CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_
#endif

#include "kernels/packed/codes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR

/// Codes that become floats as signed bytes, 128 less than they are stored: so that what a zero
/// point is taken from is exact.
template <PackedSpec kSpec>
constexpr bool kSignedFloats = kSpec.bits == 8 || kSpec.has_levels;

/// Scales and minima of a unit's groups, for this register's rows.
template <PackedSpec kSpec>
class UnitScales {
 public:
  HWY_INLINE UnitScales(const uint8_t* scales, const PackedGeometry& geometry, size_t first_row)
      : halves_(scales + 2 * first_row), geometry_(geometry) {
    if constexpr (kSpec.has_groups()) {
      LoadScaleQuads<kSpec>(scales + kSpec.half_bytes(), first_row, quads_, min_quads_);
    }
  }

  /// Of the group that slot kSlot of the unit lies in.
  template <size_t kSlot>
  HWY_INLINE void Get(VFloats& scale, VFloats& min) const {
    const PackedFloats df;
    const auto offset = hn::Set(df, kSignedFloats<kSpec> ? 0.0f : static_cast<float>(kSpec.offset));
    if constexpr (kSpec.has_groups()) {
      constexpr size_t kGroup = kSlot * kSlotColumns / kSpec.group;
      VInts sub = QuadByte<kGroup % 4>(quads_[kGroup / 4]);
      if constexpr (kSpec.scale_bias() != 0) {
        sub = hn::Sub(sub, hn::Set(PackedInts(), kSpec.scale_bias()));
      }
      scale = hn::Mul(hn::ConvertTo(df, sub), LoadRowHalves(halves_));
      if constexpr (kSpec.has_min()) {
        const VInts sub_min = QuadByte<kGroup % 4>(min_quads_[kGroup / 4]);
        min = hn::Mul(hn::ConvertTo(df, sub_min), LoadRowHalves(halves_ + 32));
      } else {
        min = hn::Mul(scale, offset);
      }
    } else {
      const uint8_t* halves =
          halves_ + (kSlot * kSlotColumns >> geometry_.block_shift) * geometry_.half_bytes;
      scale = LoadRowHalves(halves);
      if (geometry_.scales == PackedScales::kHalfAndMin) {
        min = hn::Neg(LoadRowHalves(halves + 32));
      } else if (geometry_.scales == PackedScales::kHalfAndZero) {
        min = hn::Mul(scale, LoadRowHalves(halves + 32));
      } else {
        min = hn::Mul(scale, offset);
      }
    }
  }

 private:
  const uint8_t* halves_;
  const PackedGeometry& geometry_;
  VBytes quads_[4];
  VBytes min_quads_[4];
};

/// w[i]: column 4·quad + i of a chunk's slot.
template <PackedSpec kSpec, size_t kSlot>
HWY_INLINE void QuadToFloats(const uint8_t* chunk, size_t quad, VFloats scale, VFloats min,
                             VFloats* w) {
  const PackedInts di;
  const PackedFloats df;
  VBytes bytes = SlotCodes<kSpec.bits, kSlot, 0>(chunk, quad);
  VInts column[4];
  if constexpr (kSignedFloats<kSpec>) {
    if constexpr (kSpec.has_levels) bytes = LevelCodes(bytes);
    const VInts codes = hn::BitCast(di, hn::Xor(bytes, hn::Set(PackedBytes(), 0x80)));
    column[0] = hn::ShiftRight<24>(hn::ShiftLeft<24>(codes));
    column[1] = hn::ShiftRight<24>(hn::ShiftLeft<16>(codes));
    column[2] = hn::ShiftRight<24>(hn::ShiftLeft<8>(codes));
    column[3] = hn::ShiftRight<24>(codes);
  } else {
    const VInts codes = hn::BitCast(di, bytes);
    const VInts byte = hn::Set(di, 0xff);
    column[0] = hn::And(codes, byte);
    column[1] = hn::And(hn::ShiftRight<8>(codes), byte);
    column[2] = hn::And(hn::ShiftRight<16>(codes), byte);
    column[3] = hn::ShiftRight<24>(codes);  // below 128
  }
  for (size_t i = 0; i < 4; ++i) w[i] = hn::MulSub(hn::ConvertTo(df, column[i]), scale, min);
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_

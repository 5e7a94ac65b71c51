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

/// Scales and minima of a unit's groups, for this register's rows.
template <PackedSpec kSpec>
class UnitScales {
 public:
  HWY_INLINE UnitScales(const uint8_t* scales, size_t block, size_t first_row)
      : halves_(scales + 2 * first_row), block_(block) {
    if constexpr (kSpec.has_groups()) {
      LoadScaleQuads<kSpec>(scales + kSpec.half_bytes(), first_row, quads_, min_quads_);
    }
  }

  /// Of the group that slot kSlot of the unit lies in.
  template <size_t kSlot>
  HWY_INLINE void Get(VFloats& scale, VFloats& min) const {
    const PackedFloats df;
    const auto offset = hn::Set(df, static_cast<float>(kSpec.offset));
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
      const uint8_t* halves = halves_ + kSlot * kSlotColumns / block_ * kSpec.half_bytes();
      scale = LoadRowHalves(halves);
      if constexpr (kSpec.scales == PackedScales::kHalfAndMin) {
        min = hn::Neg(LoadRowHalves(halves + 32));
      } else if constexpr (kSpec.scales == PackedScales::kHalfAndZero) {
        min = hn::Mul(scale, LoadRowHalves(halves + 32));
      } else {
        min = hn::Mul(scale, offset);
      }
    }
  }

 private:
  const uint8_t* halves_;
  size_t block_;
  VBytes quads_[4];
  VBytes min_quads_[4];
};

/// w[i]: column 4·quad + i of a chunk's slot.
template <PackedSpec kSpec, size_t kSlot>
HWY_INLINE void QuadToFloats(const uint8_t* chunk, size_t quad, VFloats scale, VFloats min,
                             VFloats* w) {
  const hn::Repartition<uint32_t, PackedBytes> du;
  const PackedFloats df;
  VBytes bytes = SlotCodes<kSpec.bits, kSlot, 0>(chunk, quad);
  if constexpr (kSpec.has_levels) bytes = LevelCodes(bytes);
  const auto codes = hn::BitCast(du, bytes);
  const auto byte = hn::Set(du, 0xff);
  const hn::Vec<decltype(du)> column[4] = {
      hn::And(codes, byte), hn::And(hn::ShiftRight<8>(codes), byte),
      hn::And(hn::ShiftRight<16>(codes), byte), hn::ShiftRight<24>(codes)};
  for (size_t i = 0; i < 4; ++i) {
    w[i] = hn::MulSub(hn::ConvertTo(df, hn::BitCast(PackedInts(), column[i])), scale, min);
  }
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_

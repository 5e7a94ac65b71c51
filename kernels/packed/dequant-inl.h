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

/// w = scale · code - min of group g.
template <const PackedSpec& kSpec>
HWY_INLINE void GroupScales(const UnitRows<kSpec>& unit, size_t g, VFloats& scale, VFloats& min) {
  const PackedFloats df;
  const VFloats d = LoadRowHalves(unit.d);
  if constexpr (kSpec.block == kPackedChunk) {
    scale = d;
    min = hn::Mul(d, hn::Set(df, static_cast<float>(kSpec.offset)));
    if constexpr (kSpec.scales == PackedScales::kHalfAndMin) min = hn::Neg(LoadRowHalves(unit.m));
  } else {
    VInts sub_scale, sub_min;
    PackedGroup<kSpec>(unit.sub, unit.high, g, sub_scale, sub_min);
    scale = hn::Mul(hn::ConvertTo(df, sub_scale), d);
    if constexpr (kSpec.has_min()) {
      min = hn::Mul(hn::ConvertTo(df, sub_min), LoadRowHalves(unit.m));
    } else {
      min = hn::Mul(scale, hn::Set(df, static_cast<float>(kSpec.offset)));
    }
  }
}

/// w[i]: column 4·kQuad + i of a chunk.
template <const PackedSpec& kSpec, size_t kQuad>
HWY_INLINE void QuadToFloats(const uint8_t* chunk, VFloats scale, VFloats min, VFloats* w) {
  const PackedInts di;
  const PackedFloats df;
  const VInts codes = hn::BitCast(di, PackedCodes<kSpec, kQuad>(chunk));
  VInts column[4];
  if constexpr (kSpec.is_signed) {
    column[0] = hn::ShiftRight<24>(hn::ShiftLeft<24>(codes));
    column[1] = hn::ShiftRight<24>(hn::ShiftLeft<16>(codes));
    column[2] = hn::ShiftRight<24>(hn::ShiftLeft<8>(codes));
    column[3] = hn::ShiftRight<24>(codes);
  } else {
    const VInts byte = hn::Set(di, 0xff);
    column[0] = hn::And(codes, byte);
    column[1] = hn::And(hn::ShiftRight<8>(codes), byte);
    column[2] = hn::And(hn::ShiftRight<16>(codes), byte);
    column[3] = hn::ShiftRight<24>(codes);  // codes are below 128
  }
  for (size_t i = 0; i < 4; ++i) w[i] = hn::MulSub(hn::ConvertTo(df, column[i]), scale, min);
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_DEQUANT_INL_H_

// What every driver needs to know of a weight format: how a block becomes small integers with
// scales and minima, or floats. A format's decoder is one specialisation in a file of its own here;
// those that say how a block comes apart (quant/parts.h) share one (parts-inl.h).
//
// An integer decoder states
//   kGroup      weights that share a scale and a minimum: 16 or 32, or a block of 128
//   Code        uint8_t with codes below 128, or int8_t: what the byte products of dot-inl.h take
//   kHasMin     whether minima are other than zero
//   Unpack(block, codes, scales, mins)
// and stands for w[e] = scales[e / kGroup] · codes[e] - mins[e / kGroup] (an offset of the codes is
// a minimum). codes are in element order. All three outputs have room for one block; codes are
// aligned to 32 bytes. Every product fits a float's 24 bits, so that this formula gives the same
// bits as the scalar reference, fused or not.
//
// A float decoder states
//   ToFloat(blocks, n, out)
// Formats with only that have no integer kernel for rows as they lie in the file.
#if defined(CROSSOVER_KERNELS_DECODE_DECODER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_DECODER_INL_H_
#undef CROSSOVER_KERNELS_DECODE_DECODER_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_DECODER_INL_H_
#endif

#include <cstring>

#include "kernels/half-inl.h"
#include "kernels/simd-inl.h"
#include "quant/format_list.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class F>
struct Decoder;

template <class F>
inline constexpr bool kDecodesToIntegers = requires {
  typename Decoder<F>::Code;
};

/// Byte vectors of at most 32 lanes: the stride at which all formats lay out their codes.
using Bytes = hn::CappedTag<uint8_t, 32>;

/// Eight small integers in one register, so that one store feeds a vector load.
HWY_INLINE uint64_t Join(uint32_t low, uint32_t high) { return low | uint64_t{high} << 32; }

/// out[g] = factor · values[g] for n small integers, n = 8 or 16.
template <size_t n, class T>
HWY_INLINE void ScaleAll(float factor, const T* values, float* out) {
  const hn::CappedTag<float, n> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<T, decltype(d)> small;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto wide = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(small, values + i)));
    hn::StoreU(hn::Mul(wide, hn::Set(d, factor)), d, out + i);
  }
}

/// out[i] = d·codes[i] - d·z, n a multiple of 32. The products are exact, so fusing them changes
/// nothing.
template <class Code>
HWY_INLINE void CodesToFloats(const Code* codes, size_t n, float d, float z, float* out) {
  const hn::CappedTag<float, 16> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<Code, decltype(df)> d8;
  const auto scale = hn::Set(df, d);
  const auto min = hn::Set(df, d * z);
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    const auto code = hn::ConvertTo(df, hn::PromoteTo(di, hn::LoadU(d8, codes + i)));
    hn::StoreU(hn::MulSub(code, scale, min), df, out + i);
  }
}

/// 16 bytes of two nibbles to 32 codes: low nibbles first.
HWY_INLINE void UnpackNibbles(const uint8_t* packed, uint8_t* codes) {
  const hn::CappedTag<uint8_t, 16> d;
  for (size_t i = 0; i < 16; i += hn::Lanes(d)) {
    const auto q = hn::LoadU(d, packed + i);
    hn::StoreU(hn::And(q, hn::Set(d, 15)), d, codes + i);
    hn::StoreU(hn::ShiftRight<4>(q), d, codes + 16 + i);
  }
}

/// The same with bit i of `high` as the fifth bit of code i. Highway may read 8 bytes at high + 2,
/// so `packed` has to follow `high` in the block.
HWY_INLINE void UnpackFiveBits(const uint8_t* packed, const uint8_t* high, uint8_t* codes) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t i = 0; i < 32; ++i) {
    const int low = i < 16 ? packed[i] & 15 : packed[i - 16] >> 4;
    codes[i] = static_cast<uint8_t>(low | ((high[i / 8] >> (i % 8)) & 1) << 4);
  }
#else
  const hn::CappedTag<uint8_t, 16> d;
  const auto bit = hn::Set(d, 16);
  const auto q = hn::LoadU(d, packed);
  const auto high0 = hn::IfThenElseZero(hn::LoadMaskBits(d, high), bit);
  const auto high1 = hn::IfThenElseZero(hn::LoadMaskBits(d, high + 2), bit);
  hn::StoreU(hn::Or(hn::And(q, hn::Set(d, 15)), high0), d, codes);
  hn::StoreU(hn::Or(hn::ShiftRight<4>(q), high1), d, codes + 16);
#endif
}

/// 16 bytes of two indices into sixteen levels to 32 codes: low nibbles first.
HWY_INLINE void UnpackLevels(const int8_t* levels, const uint8_t* packed, int8_t* codes) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t i = 0; i < 16; ++i) {
    codes[i] = levels[packed[i] & 15];
    codes[16 + i] = levels[packed[i] >> 4];
  }
#else
  const hn::CappedTag<uint8_t, 16> d;
  const hn::CappedTag<int8_t, 16> di;
  const auto table = hn::LoadU(di, levels);
  const auto q = hn::LoadU(d, packed);
  hn::StoreU(hn::TableLookupBytes(table, hn::BitCast(di, hn::And(q, hn::Set(d, 15)))), di, codes);
  hn::StoreU(hn::TableLookupBytes(table, hn::BitCast(di, hn::ShiftRight<4>(q))), di, codes + 16);
#endif
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_DECODER_INL_H_

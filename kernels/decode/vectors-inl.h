// Decoders of formats that come apart (parts-inl.h), where vectors do it in far less time than the
// words of quant/parts.h. Included by what reads rows as they lie in the file.
#if defined(CROSSOVER_KERNELS_DECODE_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_VECTORS_INL_H_
#undef CROSSOVER_KERNELS_DECODE_VECTORS_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_VECTORS_INL_H_
#endif

#include <algorithm>

#include "kernels/decode/parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// Sixteen levels are a shuffle: many times as fast as looking them up one by one.

template <>
struct Decoder<quant::MXFP4> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::MXFP4::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    UnpackLevels(quant::kMx4Levels.data(), block.qs, codes);
    *scales = quant::MXFP4::Factor(block.e);
    *mins = 0.0f;
  }
};

template <>
struct Decoder<quant::NVFP4> {
  static constexpr size_t kGroup = 16;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::NVFP4::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    for (size_t g = 0; g < 4; ++g) {
      scales[g] = HalfScale(block.d[g]);
      mins[g] = 0.0f;
    }
    // The low nibbles of two groups, then the high ones.
    for (size_t i = 0; i < 2; ++i) {
      alignas(32) int8_t levels[32];
      UnpackLevels(quant::kMx4Levels.data(), block.qs + 16 * i, levels);
      for (size_t q = 0; q < 4; ++q) {
        __builtin_memcpy(codes + 32 * i + 8 * (q / 2 + 2 * (q % 2)),
                         levels + 8 * (2 * (q / 2) + q % 2), 8);
      }
    }
  }

 private:
  /// Seven bits in a float's place of exponent and mantissa are too small by a power of two.
  static HWY_INLINE float HalfScale(uint8_t bits) {
    const uint32_t magnitude = bits & 0x7fu;
    if (bits == 0x7f) return 0.0f;
    float value;
    const uint32_t shifted = magnitude << 20;
    __builtin_memcpy(&value, &shifted, sizeof(value));
    return value * 0x1p119f;
  }
};

#if HWY_TARGET != HWY_SCALAR

template <>
struct Decoder<quant::Q1_0> {
  static constexpr size_t kGroup = 128;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::Q1_0::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    const hn::CappedTag<int8_t, 16> d;
    alignas(16) uint8_t bits[24];  // Highway may read 8 bytes at any of them
    __builtin_memcpy(bits, block.qs, sizeof(block.qs));
    for (size_t i = 0; i < 8; ++i) {
      const auto set = hn::LoadMaskBits(d, bits + 2 * i);
      hn::StoreU(hn::IfThenElse(set, hn::Set(d, int8_t{1}), hn::Set(d, int8_t{-1})), d,
                 codes + 16 * i);
    }
    *scales = HalfToFloat(block.d);
    *mins = 0.0f;
  }
};

#endif  // HWY_TARGET != HWY_SCALAR

template <>
struct Decoder<quant::TQ2_0> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::TQ2_0::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    auto* out = reinterpret_cast<uint8_t*>(codes);
    const auto code = [&](auto bits)
                          HWY_ATTR { return hn::Sub(hn::And(bits, hn::Set(d, 3)), hn::Set(d, 1)); };
    for (size_t half = 0; half < 2; ++half, out += 128) {
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        const auto q = hn::LoadU(d, block.qs + 32 * half + i);
        hn::StoreU(code(q), d, out + i);
        hn::StoreU(code(hn::ShiftRight<2>(q)), d, out + i + 32);
        hn::StoreU(code(hn::ShiftRight<4>(q)), d, out + i + 64);
        hn::StoreU(code(hn::ShiftRight<6>(q)), d, out + i + 96);
      }
    }
    std::fill_n(scales, 8, HalfToFloat(block.d));
    std::fill_n(mins, 8, 0.0f);
  }
};

#if HWY_TARGET != HWY_SCALAR

template <>
struct Decoder<quant::TQ1_0> {
  static constexpr size_t kGroup = 32;
  using Code = int8_t;
  static constexpr bool kHasMin = false;

  static HWY_INLINE void Unpack(const quant::TQ1_0::Block& block, int8_t* codes, float* scales,
                                float* mins) {
    const Bytes d;
    auto* out = reinterpret_cast<uint8_t*>(codes);
    for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
      auto left = hn::LoadU(d, block.qs + i);
      for (size_t n = 0; n < 5; ++n) hn::StoreU(NextDigit(d, left), d, out + 32 * n + i);
    }
    const hn::CappedTag<uint8_t, 16> d16;
    auto left = hn::LoadU(d16, block.qs + 32);
    for (size_t n = 0; n < 5; ++n) hn::StoreU(NextDigit(d16, left), d16, out + 160 + 16 * n);
    // Four bytes of four digits: sixteen, as the digits follow each other.
    alignas(16) uint8_t digits[16];
    uint8_t power = 1;
    for (size_t n = 0; n < 4; ++n, power = static_cast<uint8_t>(3 * power)) {
      for (size_t j = 0; j < 4; ++j) digits[4 * n + j] = static_cast<uint8_t>(block.qh[j] * power);
    }
    auto last = hn::LoadU(d16, digits);
    hn::StoreU(NextDigit(d16, last), d16, out + 240);
    std::fill_n(scales, 8, HalfToFloat(block.d));
    std::fill_n(mins, 8, 0.0f);
  }

 private:
  /// The first digit of each byte, less one; the byte keeps what is behind it. Three times a byte
  /// is 256 · digit + the rest: the digit is how often adding the byte wraps.
  template <class D, class V>
  static HWY_INLINE V NextDigit(D d, V& left) {
    // A byte is below 86 where the digit is 0, and from 171 on where it is 2: ⌈256/3⌉, ⌈512/3⌉.
    const auto one = hn::Set(d, 1);
    const V above = hn::Min(hn::SaturatedSub(left, hn::Set(d, 85)), one);
    const V far = hn::Min(hn::SaturatedSub(left, hn::Set(d, 170)), one);
    left = hn::Add(hn::Add(left, left), left);
    return hn::Sub(hn::Add(above, far), one);
  }
};

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_VECTORS_INL_H_

// The two 16-bit float types of model files, exact and usable in constant expressions: conversion
// to float loses nothing, conversion from float rounds to nearest, ties to even, as F16C and
// AVX512-BF16 do (but here denormals are always kept).
#pragma once

#include <bit>
#include <cstdint>

namespace crossover::quant {

/// IEEE binary16: 1 sign, 5 exponent (bias 15), 10 mantissa bits.
constexpr float HalfBitsToFloat(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00) {  // infinity, or NaN with its payload
    return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  }
  if (magnitude < 0x0400) {  // denormal: magnitude · 2^-24, exact in float
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

constexpr uint16_t FloatToHalfBits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // NaN: keep the payload's top, and quiet it
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) {  // 65520 and above round to infinity
    return static_cast<uint16_t>(sign | 0x7c00u);
  }
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 rounds at the denormals' bit, 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude - ((127u - 15u) << 23) + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

/// bfloat16: the upper half of a float.
constexpr float BFloat16BitsToFloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

constexpr uint16_t FloatToBFloat16Bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {  // rounding could carry a NaN into infinity
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// A half as it lies in a block. Two bytes, alignment two: block strides such as 18 allow no more.
struct Half {
  uint16_t bits;

  constexpr float ToFloat() const { return HalfBitsToFloat(bits); }
  static constexpr Half FromFloat(float value) { return {FloatToHalfBits(value)}; }
};
static_assert(sizeof(Half) == 2 && alignof(Half) == 2);

struct BFloat16 {
  uint16_t bits;

  constexpr float ToFloat() const { return BFloat16BitsToFloat(bits); }
  static constexpr BFloat16 FromFloat(float value) { return {FloatToBFloat16Bits(value)}; }
};
static_assert(sizeof(BFloat16) == 2 && alignof(BFloat16) == 2);

}  // namespace crossover::quant

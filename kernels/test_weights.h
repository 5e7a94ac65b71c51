// Weights for tests of kernels: rows of blocks of any format, from ordinary to extreme.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "quant/format_list.h"

namespace crossover::kernels {

enum class WeightKind { kRandom, kZero, kMax, kDenormal };
inline constexpr std::array kWeightKinds = {WeightKind::kRandom, WeightKind::kZero,
                                            WeightKind::kMax, WeightKind::kDenormal};
inline constexpr std::string_view KindName(WeightKind kind) {
  constexpr std::string_view kNames[] = {"random", "zero", "max", "denormal"};
  return kNames[static_cast<size_t>(kind)];
}

/// A half for a scale or a weight: both signs; all 65504 or all denormal for the extreme kinds.
inline uint16_t HalfOf(WeightKind kind, std::mt19937& random) {
  const auto sign = static_cast<uint16_t>(random() & 0x8000u);
  switch (kind) {
    case WeightKind::kZero:
      return 0;
    case WeightKind::kMax:
      return sign | 0x7bff;
    case WeightKind::kDenormal:
      return static_cast<uint16_t>(sign | (1 + random() % 1023));
    case WeightKind::kRandom:
      break;
  }
  return static_cast<uint16_t>(sign | (0x1000 + random() % 0x1800));  // 2^-11 to 2^-5
}

/// A zero point around any width's codes, in eighths; as far as a half is exact for integers, or
/// denormal.
inline quant::Half ZeroPoint(WeightKind kind, std::mt19937& random) {
  if (kind == WeightKind::kRandom) {
    return quant::Half::FromFloat(static_cast<float>(random() % 2048) / 8.0f - 64.0f);
  }
  return kind == WeightKind::kMax ? quant::Half::FromFloat(2048.0f)
                                  : quant::Half{HalfOf(kind, random)};
}

/// An exponent, 128 too large, around a half's.
inline unsigned PowerOf(WeightKind kind, std::mt19937& random) {
  switch (kind) {
    case WeightKind::kZero:
      return 0;
    case WeightKind::kMax:
      return 128 + 15;
    case WeightKind::kDenormal:
      return 128 - 24;
    case WeightKind::kRandom:
      break;
  }
  return 128 - 11 + random() % 7;
}

/// Any bytes for the codes, scales from HalfOf.
template <class F>
typename F::Block RandomBlock(WeightKind kind, std::mt19937& random) {
  using Block = typename F::Block;
  Block block;
  uint8_t bytes[sizeof(Block)];
  for (uint8_t& byte : bytes) {
    byte = kind == WeightKind::kZero  ? 0
           : kind == WeightKind::kMax ? 0xff
                                      : static_cast<uint8_t>(random());
  }
  std::memcpy(&block, bytes, sizeof(Block));
  if constexpr (requires { block.d.bits; }) block.d.bits = HalfOf(kind, random);
  if constexpr (requires { F::SetFactor(quant::Half{}, block); }) {
    F::SetFactor({HalfOf(kind, random)}, block);
  }
  // Powers of two: of a float's range, that of halves.
  if constexpr (requires { block.e; }) block.e = static_cast<uint8_t>(PowerOf(kind, random));
  if constexpr (requires { block.dmin; }) block.dmin.bits = HalfOf(kind, random);
  if constexpr (requires { block.m; }) block.m.bits = HalfOf(kind, random);
  if constexpr (requires { block.z; }) block.z = ZeroPoint(kind, random);
  if constexpr (!F::kQuantized) {
    const float value = quant::HalfBitsToFloat(HalfOf(kind, random));
    F::EncodeRow({&value, 1}, nullptr, &block);
  }
  return block;
}

struct TestWeights {
  quant::Format format{};
  size_t rows = 0;
  size_t cols = 0;
  std::vector<std::byte> bytes;
  std::vector<float> values;  // [rows][cols], by the scalar reference

  const void* row(size_t r) const { return bytes.data() + r * quant::Info(format).row_bytes(cols); }
};

inline TestWeights RandomWeights(quant::Format format, size_t rows, size_t cols, WeightKind kind,
                                 uint32_t seed) {
  TestWeights weights{.format = format, .rows = rows, .cols = cols, .bytes = {}, .values = {}};
  std::mt19937 random(seed);
  const quant::FormatInfo& info = quant::Info(format);
  weights.bytes.resize(rows * info.row_bytes(cols));
  quant::VisitFormat(format, [&]<class F>() {
    for (size_t i = 0; i < weights.bytes.size(); i += sizeof(typename F::Block)) {
      const auto block = RandomBlock<F>(kind, random);
      std::memcpy(weights.bytes.data() + i, &block, sizeof(block));
    }
  });
  weights.values.resize(rows * cols);
  info.decode(weights.bytes.data(), rows * cols, weights.values.data());
  return weights;
}

}  // namespace crossover::kernels

// Every decoder against the format's definition, element by element from the raw bytes: what the
// structs, the packing helpers and the decoders make of a block is not used here.
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <string_view>
#include <vector>

#include "quant/codebook/grids.h"
#include "quant/format.h"
#include "quant/g/g.h"
#include "quant/half.h"
#include "quant/iq4_table.h"
#include "quant/mx4_levels.h"
#include "quant/test_data.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

using Bytes = const uint8_t*;

float HalfAt(Bytes b, size_t offset) {
  return HalfBitsToFloat(static_cast<uint16_t>(b[offset] | b[offset + 1] << 8));
}

int Bits(int byte, size_t shift, int mask) { return (byte >> shift) & mask; }

int Nibble32(Bytes qs, size_t e) { return e < 16 ? qs[e] & 15 : qs[e - 16] >> 4; }

int Five32(Bytes qh, Bytes qs, size_t e) {
  return Nibble32(qs, e) + 16 * Bits(qh[e / 8], e % 8, 1);
}

int Two256(Bytes qs, size_t e) {
  const size_t h = e / 128, j = e % 128 / 32, l = e % 32;
  return Bits(qs[32 * h + l], 2 * j, 3);
}

int Scale6(Bytes s, size_t k) { return k < 4 ? s[k] & 63 : (s[k + 4] & 15) + 16 * (s[k - 4] >> 6); }

int Min6(Bytes s, size_t k) { return k < 4 ? s[k + 4] & 63 : (s[k + 4] >> 4) + 16 * (s[k] >> 6); }

int Nibble64(Bytes qs, size_t e) {
  const size_t k = e / 32;
  const int byte = qs[32 * (k / 2) + e % 32];
  return k % 2 == 0 ? byte & 15 : byte >> 4;
}

int Scale3(Bytes s, size_t k) {
  const int low = k < 8 ? s[k] & 15 : s[k - 8] >> 4;
  return low + 16 * Bits(s[8 + k % 4], 2 * (k / 4), 3);
}

float Q6K(Bytes b, size_t e) {
  const size_t h = e / 128, j = e % 128 / 32, l = e % 32;
  const int byte = b[64 * h + 32 * (j & 1) + l];
  const int low = j < 2 ? byte & 15 : byte >> 4;
  const int high = Bits(b[128 + 32 * h + l], 2 * j, 3);
  const auto scale = static_cast<int8_t>(b[192 + e / 16]);
  return HalfAt(b, 208) * static_cast<float>(scale) * static_cast<float>(low + 16 * high - 32);
}

float Iq4Xs(Bytes b, size_t e) {
  const size_t k = e / 32, w = e % 32;
  const int high = b[2] | b[3] << 8;
  const int scale = Bits(b[4 + k / 2], 4 * (k & 1), 15) + 16 * Bits(high, 2 * k, 3) - 32;
  return HalfAt(b, 0) * static_cast<float>(scale) *
         static_cast<float>(kIq4Levels[static_cast<size_t>(Nibble32(b + 8 + 16 * k, w))]);
}

float Trit(int byte, size_t n) {
  for (; n > 0; --n) byte = byte * 3 & 255;
  return static_cast<float>(byte * 3 >> 8) - 1.0f;
}

float Tq1(Bytes b, size_t e) {
  const float d = HalfAt(b, 52);
  if (e < 160) return d * Trit(b[e % 32], e / 32);
  if (e < 240) return d * Trit(b[32 + e % 16], (e - 160) / 16);
  return d * Trit(b[48 + e % 4], (e - 240) / 4);
}

float Mx4(int nibble) { return static_cast<float>(kMx4Levels[static_cast<size_t>(nibble)]); }

float Nvfp4(Bytes b, size_t e) {
  const int bits = b[e / 16];
  const int exponent = Bits(bits, 3, 15), mantissa = bits & 7;
  const float value = bits == 127 ? 0.0f
                      : exponent > 0
                          ? std::ldexp(1.0f + static_cast<float>(mantissa) / 8, exponent - 7)
                          : std::ldexp(static_cast<float>(mantissa), -9);
  const int byte = b[4 + 8 * (e / 16) + e % 8];
  return value / 2 * Mx4(Bits(byte, 4 * (e % 16 / 8), 15));
}

uint32_t Word(Bytes b) {
  return uint32_t{b[0]} | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
}

int Short(Bytes b, size_t i) { return b[2 * i] | b[2 * i + 1] << 8; }

/// Coordinate `i` of a point.
template <class Grid>
float At(const Grid& grid, int code, size_t i) {
  return static_cast<float>(static_cast<int8_t>(grid[static_cast<size_t>(code)] >> (8 * i) & 255));
}

/// Seven signs; minus signs are even in number.
float Sign7(uint32_t signs, size_t i) {
  const bool minus = i < 7 ? (signs >> i & 1) != 0 : std::popcount(signs & 127) % 2 != 0;
  return minus ? -1.0f : 1.0f;
}

float Sign(int byte, size_t i) { return Bits(byte, i, 1) != 0 ? -1.0f : 1.0f; }

float Iq2Xxs(Bytes b, size_t e) {
  Bytes q = b + 2 + 8 * (e / 32);
  const uint32_t rest = Word(q + 4);
  const size_t k = e % 32 / 8;
  const float scale = HalfAt(b, 0) * (0.5f + static_cast<float>(rest >> 28)) * 0.25f;
  return scale * At(kIq2XxsGrid, q[k], e % 8) * Sign7(rest >> (7 * k), e % 8);
}

float Iq2Xs(Bytes b, size_t e) {
  const int q = Short(b + 2, e / 8);
  const int scale = Bits(b[66 + e / 32], e % 32 / 16 * 4, 15);
  return HalfAt(b, 0) * (0.5f + static_cast<float>(scale)) * 0.25f *
         At(kIq2XsGrid, q & 511, e % 8) * Sign7(static_cast<uint32_t>(q >> 9), e % 8);
}

float Iq2S(Bytes b, size_t e) {
  const int code = b[2 + e / 8] + 256 * Bits(b[66 + e / 32], e % 32 / 8 * 2, 3);
  const int scale = Bits(b[74 + e / 32], e % 32 / 16 * 4, 15);
  return HalfAt(b, 0) * (0.5f + static_cast<float>(scale)) * 0.25f * At(kIq2SGrid, code, e % 8) *
         Sign(b[34 + e / 8], e % 8);
}

float Iq3Xxs(Bytes b, size_t e) {
  const uint32_t rest = Word(b + 66 + 4 * (e / 32));
  const float scale = HalfAt(b, 0) * (0.5f + static_cast<float>(rest >> 28)) * 0.5f;
  return scale * At(kIq3XxsGrid, b[2 + e / 4], e % 4) * Sign7(rest >> (e % 32 / 8 * 7), e % 8);
}

float Iq3S(Bytes b, size_t e) {
  const int code = b[2 + e / 4] + 256 * Bits(b[66 + e / 32], e % 32 / 4, 1);
  const int scale = 1 + 2 * Bits(b[106 + e / 64], e % 64 / 32 * 4, 15);
  return HalfAt(b, 0) * static_cast<float>(scale) * At(kIq3SGrid, code, e % 4) *
         Sign(b[74 + e / 8], e % 8);
}

// The grids of the two have eight times the values.
float Iq1S(Bytes b, size_t e) {
  const int high = Short(b + 34, e / 32);
  const int code = b[2 + e / 8] + 256 * (high >> (e % 32 / 8 * 3) & 7);
  const float delta = (high & 0x8000) != 0 ? -0.125f : 0.125f;
  const float scale = HalfAt(b, 0) * static_cast<float>(2 * (high >> 12 & 7) + 1);
  return scale * (At(kIq1Grid, code, e % 8) / 8 + delta);
}

float Iq1M(Bytes b, size_t e) {
  int half = 0;
  for (size_t k = 0; k < 4; ++k) half |= Short(b + 48, k) >> 12 << (4 * k);
  const int high = Bits(b[32 + e / 16], e % 16 / 8 * 4, 15);
  const int code = b[e / 8] + 256 * (high & 7);
  const int scale = 2 * (Short(b + 48, e / 64) >> (e % 64 / 16 * 3) & 7) + 1;
  return HalfBitsToFloat(static_cast<uint16_t>(half)) * static_cast<float>(scale) *
         (At(kIq1Grid, code, e % 8) / 8 + ((high & 8) != 0 ? -0.125f : 0.125f));
}

struct Definition {
  float (*value)(Bytes block, size_t element);
  std::vector<size_t> halves;  // offsets of half-precision factors, to be kept sensible
};

const std::map<std::string_view, Definition>& Definitions() {
  static const std::map<std::string_view, Definition> all = {
      {"F32",
       {[](Bytes b, size_t) {
          const uint32_t bits = uint32_t{b[0]} | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16;
          return std::bit_cast<float>(bits | uint32_t{b[3]} << 24);
        },
        {2}}},
      {"F16", {[](Bytes b, size_t) { return HalfAt(b, 0); }, {0}}},
      {"BF16",
       {[](Bytes b, size_t) {
          return std::bit_cast<float>(uint32_t{b[0]} << 16 | uint32_t{b[1]} << 24);
        },
        {0}}},
      {"Q4_0",
       {[](Bytes b, size_t e) { return HalfAt(b, 0) * float(Nibble32(b + 2, e) - 8); }, {0}}},
      {"Q4_1",
       {[](Bytes b, size_t e) { return HalfAt(b, 0) * float(Nibble32(b + 4, e)) + HalfAt(b, 2); },
        {0, 2}}},
      {"Q5_0",
       {[](Bytes b, size_t e) { return HalfAt(b, 0) * float(Five32(b + 2, b + 6, e) - 16); }, {0}}},
      {"Q5_1",
       {[](Bytes b, size_t e) {
          return HalfAt(b, 0) * float(Five32(b + 4, b + 8, e)) + HalfAt(b, 2);
        },
        {0, 2}}},
      {"Q8_0",
       {[](Bytes b, size_t e) { return HalfAt(b, 0) * float(static_cast<int8_t>(b[2 + e])); },
        {0}}},
      {"Q2_0",
       {[](Bytes b, size_t e) {
          return HalfAt(b, 0) * float(Bits(b[2 + e / 4], 2 * (e % 4), 3) - 1);
        },
        {0}}},
      {"Q2_K",
       {[](Bytes b, size_t e) {
          const int packed = b[e / 16];
          return HalfAt(b, 80) * float(packed & 15) * float(Two256(b + 16, e)) -
                 HalfAt(b, 82) * float(packed >> 4);
        },
        {80, 82}}},
      {"Q3_K",
       {[](Bytes b, size_t e) {
          const int code = Two256(b + 32, e) + 4 * Bits(b[e % 32], e / 32, 1) - 4;
          return HalfAt(b, 108) * float(Scale3(b + 96, e / 16) - 32) * float(code);
        },
        {108}}},
      {"Q4_K",
       {[](Bytes b, size_t e) {
          return HalfAt(b, 0) * float(Scale6(b + 4, e / 32)) * float(Nibble64(b + 16, e)) -
                 HalfAt(b, 2) * float(Min6(b + 4, e / 32));
        },
        {0, 2}}},
      {"Q5_K",
       {[](Bytes b, size_t e) {
          const int code = Nibble64(b + 48, e) + 16 * Bits(b[16 + e % 32], e / 32, 1);
          return HalfAt(b, 0) * float(Scale6(b + 4, e / 32)) * float(code) -
                 HalfAt(b, 2) * float(Min6(b + 4, e / 32));
        },
        {0, 2}}},
      {"Q6_K", {Q6K, {208}}},
      {"IQ4_NL",
       {[](Bytes b, size_t e) {
          return HalfAt(b, 0) * float(kIq4Levels[static_cast<size_t>(Nibble32(b + 2, e))]);
        },
        {0}}},
      {"IQ4_XS", {Iq4Xs, {0}}},
      {"TQ1_0", {Tq1, {52}}},
      {"TQ2_0", {[](Bytes b, size_t e) { return HalfAt(b, 64) * float(Two256(b, e) - 1); }, {64}}},
      {"MXFP4",
       {[](Bytes b, size_t e) { return std::ldexp(1.0f, b[0] - 128) * Mx4(Nibble32(b + 1, e)); },
        {}}},
      {"NVFP4", {Nvfp4, {}}},
      {"Q1_0", {[](Bytes b, size_t e) { return HalfAt(b, 0) * -Sign(b[2 + e / 8], e % 8); }, {0}}},
      {"IQ2_XXS", {Iq2Xxs, {0}}},
      {"IQ2_XS", {Iq2Xs, {0}}},
      {"IQ2_S", {Iq2S, {0}}},
      {"IQ3_XXS", {Iq3Xxs, {0}}},
      {"IQ3_S", {Iq3S, {0}}},
      {"IQ1_S", {Iq1S, {0}}},
      {"IQ1_M", {Iq1M, {}}},
  };
  return all;
}

TEST_CASE("decode: each element is what the format's definition says") {
  constexpr size_t kBlocks = 16;
  for (const FormatInfo& info : Formats()) {
    if (GShapeOf(info.format)) continue;  // g/g_test.cc
    CAPTURE(info.name);
    REQUIRE(Definitions().contains(info.name));
    const Definition& definition = Definitions().at(info.name);
    test::Generator generator(11);
    std::vector<uint8_t> blocks(kBlocks * info.block_bytes);
    for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(generator.Bits(8));
    for (size_t i = 0; i < kBlocks; ++i) {
      for (const size_t offset : definition.halves) {  // exponents from 2^-12 to 8
        uint8_t& high = blocks[i * info.block_bytes + offset + 1];
        high = static_cast<uint8_t>((high & 0x83) | (3 + generator.Bits(4)) << 2);
      }
    }
    std::vector<float> out(kBlocks * info.block_weights);
    info.decode(blocks.data(), out.size(), out.data());
    for (size_t i = 0; i < out.size(); ++i) {
      CAPTURE(i);
      const float expected = definition.value(&blocks[i / info.block_weights * info.block_bytes],
                                              i % info.block_weights);
      // Same operations in the same order: equal, not close.
      REQUIRE(out[i] == expected);
    }
  }
}

/// Sets the factor of a block that has one in 16 bits.
void SetHalf(std::string_view name, uint16_t half, uint8_t* block) {
  if (name == "IQ1_M") {  // four bits on top of each of four words
    for (size_t k = 0; k < 4; ++k) {
      uint8_t& top = block[49 + 2 * k];
      top = static_cast<uint8_t>((top & 15) | (half >> (4 * k) & 15) << 4);
    }
  } else if (const auto& halves = Definitions().at(name).halves; !halves.empty()) {
    block[halves[0]] = static_cast<uint8_t>(half);
    block[halves[0] + 1] = static_cast<uint8_t>(half >> 8);
  }
}

TEST_CASE("decode: codebooks and 4-bit floats have the bits that llama.cpp gives them") {
  // FNV-1a of the floats that b11739 of llama.cpp makes of 256 blocks of random bytes, factors
  // being random, the largest, the least, and the least negative but two.
  static const std::map<std::string_view, uint64_t> goldens = {
      {"Q1_0", 0x4d5220c8441b89a5},    {"TQ1_0", 0xcce4e8570a48d0c0},
      {"TQ2_0", 0x51caa0e257f7c8d0},   {"MXFP4", 0x2d3d870b48cbf1fc},
      {"NVFP4", 0x6f86cc1aa0938e5b},   {"IQ2_XXS", 0x690f03973e4e35f6},
      {"IQ2_XS", 0x64694aa20c8dc16c},  {"IQ2_S", 0x9de8806a9e9b9e61},
      {"IQ3_XXS", 0x87510b1b37d1d4c4}, {"IQ3_S", 0xfcdbb4e672d7bdf6},
      {"IQ1_S", 0x24953a6023f5dca2},   {"IQ1_M", 0x7f723851bfaf276f},
  };
  constexpr size_t kBlocks = 256;
  for (const auto& [name, golden] : goldens) {
    CAPTURE(name);
    const FormatInfo& info = *FindFormat(name);
    test::Generator generator(21);
    std::vector<uint8_t> blocks(kBlocks * info.block_bytes);
    for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(generator.Bits(8));
    for (size_t i = 0; i < kBlocks; ++i) {
      if (name == "MXFP4" || name == "NVFP4") continue;
      static constexpr std::array<uint16_t, 4> kExtremes = {0, 0x7bff, 0x0001, 0x83ff};
      uint16_t half = kExtremes[i % 4];
      if (half == 0) {
        const uint32_t sign = generator.Bits(1) << 15;
        half = static_cast<uint16_t>(sign | (0x1000 + generator.Bits(12)));
      }
      SetHalf(name, half, &blocks[i * info.block_bytes]);
    }
    std::vector<float> out(kBlocks * info.block_weights);
    info.decode(blocks.data(), out.size(), out.data());
    uint64_t hash = 14695981039346656037u;
    for (const float value : out) {
      const auto bits = std::bit_cast<uint32_t>(value);
      for (int i = 0; i < 32; i += 8) hash = (hash ^ (bits >> i & 255)) * 1099511628211u;
    }
    CHECK(hash == golden);
  }
}

TEST_CASE("decode: wrong bit order does not pass for right") {
  // A control: the definition of Q4_0 with its nibbles exchanged disagrees.
  const FormatInfo& info = *FindFormat("Q4_0");
  uint8_t block[18] = {0x00, 0x3c};  // d = 1
  for (size_t j = 0; j < 16; ++j) block[2 + j] = static_cast<uint8_t>(j << 4 | (15 - j));
  float out[32];
  info.decode(block, 32, out);
  for (size_t j = 0; j < 16; ++j) {
    CHECK(out[j] == 7.0f - static_cast<float>(j));
    CHECK(out[16 + j] == static_cast<float>(j) - 8.0f);
  }
}

}  // namespace
}  // namespace crossover::quant

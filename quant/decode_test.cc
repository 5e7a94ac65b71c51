// Every decoder against the format's definition, element by element from the raw bytes: what the
// structs, the packing helpers and the decoders make of a block is not used here.
#include <bit>
#include <map>
#include <string_view>
#include <vector>

#include "quant/format.h"
#include "quant/g/g.h"
#include "quant/half.h"
#include "quant/iq4_table.h"
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

// G2 … G8: the uniform grouped family. Every width from 2 to 8 bits with groups of 32, 64 or 128
// weights, symmetric or with a zero point, and nothing else that differs: the controlled experiment
// of what a bit of weight buys. GPTQ and AWQ checkpoints have this form.
//
//   name     G4_64 (symmetric), G4_64Z (with a zero point)
//   type id  0x43520000 | bits << 4 | log2(group / 32) << 1 | zero point
//   BPW      bits + 16 / group, and with a zero point another 16 / group
//
// 0x4352 is "CR"; other readers of GGUF know no such type, and say so.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "quant/format.h"
#include "quant/g/planes.h"
#include "quant/half.h"

namespace crossover::quant {

/// A member of the family at run time.
struct GShape {
  size_t bits;   // 2 … 8
  size_t group;  // 32, 64 or 128
  bool zero;     // has a zero point

  friend bool operator==(const GShape&, const GShape&) = default;
};

/// The family's names for people.
inline constexpr std::string_view kGNames =
    "G2 … G8 (G4_32, G4_64, G4_128; with a zero point G4_32Z, G4_64Z, G4_128Z)";

constexpr Format GFormat(const GShape& shape) {
  const auto groups = static_cast<uint32_t>(std::countr_zero(shape.group / 32));
  return Format{0x43520000u | static_cast<uint32_t>(shape.bits) << 4 | groups << 1 |
                static_cast<uint32_t>(shape.zero)};
}

/// Nothing if the format is none of the family.
constexpr std::optional<GShape> GShapeOf(Format format) {
  const auto id = static_cast<uint32_t>(format);
  const GShape shape{id >> 4 & 15, size_t{32} << (id >> 1 & 7), (id & 1) != 0};
  const bool known = shape.bits >= 2 && shape.bits <= 8 && shape.group <= 128;
  if (!known || GFormat(shape) != format) return std::nullopt;
  return shape;
}

/// The zero point of symmetric formats: the middle of the codes, which are signed at 8 bits.
constexpr int GOffset(size_t bits) { return bits == 8 ? 0 : 1 << (bits - 1); }

constexpr size_t GBlockBytes(const GShape& shape) {
  return (shape.zero ? 4 : 2) + shape.group * shape.bits / 8;
}

/// What the members share behind their types: the shape is a run-time argument, so that 42 formats
/// are not 42 copies of the search.
void DecodeGBlock(const GShape& shape, const void* block, float* out);
void EncodeGRow(const GShape& shape, std::span<const float> row, const float* importance,
                void* blocks);

/// f.template operator()<bits>() for a width of the family.
template <class F>
void VisitGBits(size_t bits, F&& f) {
  const auto visit = [&]<size_t... kBits>(std::index_sequence<kBits...>) {
    ((bits == kBits + 2 ? f.template operator()<kBits + 2>() : void()), ...);
  };
  visit(std::make_index_sequence<7>());
}

/// "G4_64", "G4_128Z".
struct GName {
  std::array<char, 8> chars{};
  size_t size = 0;

  constexpr void Add(std::string_view text) {
    for (const char c : text) chars[size++] = c;
  }
  constexpr std::string_view view() const { return {chars.data(), size}; }
};

template <size_t kBits, size_t kGroup, bool kZero>
inline constexpr GName kGName = [] {
  GName name;
  const char digit = static_cast<char>('0' + kBits);
  name.Add("G");
  name.Add({&digit, 1});
  name.Add(kGroup == 32 ? "_32" : kGroup == 64 ? "_64" : "_128");
  if (kZero) name.Add("Z");
  return name;
}();

template <size_t kBytes, bool kZero>
struct GBlock {
  Half d;
  uint8_t planes[kBytes];  // of chunks of 32 codes (planes.h)
};
template <size_t kBytes>
struct GBlock<kBytes, true> {
  Half d;
  Half z;  // integers to 2048 are exact, and fractions are allowed
  uint8_t planes[kBytes];
};

/// y = d·q - d·z, with z = GOffset(bits) where none is stored. Both products are exact in a float,
/// so the value is d·(q - z) rounded once. Codes q are 0 … 2^bits - 1; those of 8 bits are -128 …
/// 127 in two's complement, as products of signed bytes want them.
template <size_t kBitsOf, size_t kGroup, bool kZero>
struct G {
  static_assert(kBitsOf >= 2 && kBitsOf <= 8);
  static_assert(kGroup == 32 || kGroup == 64 || kGroup == 128);

  static constexpr size_t kBits = kBitsOf;
  static constexpr bool kHasZero = kZero;
  static constexpr bool kSigned = kBits == 8;
  static constexpr int kOffset = GOffset(kBits);

  static constexpr size_t kBlockWeights = kGroup;
  static constexpr bool kQuantized = true;
  static constexpr Format kFormat = GFormat({kBits, kGroup, kZero});
  static constexpr std::string_view kName = kGName<kBits, kGroup, kZero>.view();

  using Block = GBlock<kGroup / kPlaneChunk * PlaneChunkBytes(kBits), kZero>;
  static_assert(sizeof(Block) == GBlockBytes({kBits, kGroup, kZero}));
  static_assert(alignof(Block) <= 2);

  /// kGroup codes in element order, of 8 bits as the bytes of signed ones.
  static void Unpack(const Block& block, uint8_t* codes) {
    for (size_t i = 0; i < kGroup / kPlaneChunk; ++i) {
      UnpackPlanes<kBits>(block.planes + i * PlaneChunkBytes(kBits), codes + i * kPlaneChunk);
    }
  }
  static void Decode(const Block& block, float* out) {
    DecodeGBlock({kBits, kGroup, kZero}, &block, out);
  }
  static void EncodeRow(std::span<const float> row, const float* importance, Block* out) {
    EncodeGRow({kBits, kGroup, kZero}, row, importance, out);
  }
};

}  // namespace crossover::quant

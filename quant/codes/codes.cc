#include "quant/codes/codes.h"

#include <array>
#include <vector>

#include "quant/format_list.h"
#include "quant/iq4_table.h"
#include "quant/k_affine32.h"
#include "quant/pack.h"

namespace crossover::quant {
namespace {

template <size_t kCount>
constexpr std::array<float, kCount> Whole() {
  std::array<float, kCount> steps{};
  for (size_t i = 0; i < kCount; ++i) steps[i] = static_cast<float>(i);
  return steps;
}
constexpr auto kWhole = Whole<256>();
constexpr auto kIq4Steps = [] {
  std::array<float, 16> steps{};
  for (size_t i = 0; i < 16; ++i) steps[i] = static_cast<float>(kIq4Levels[i]);
  return steps;
}();

/// How many codes a format has, and how they are put into a block.
template <class T>
struct Codes;

template <>
struct Codes<Q4_0> {
  static constexpr size_t kLevels = 16;
  static void Put(const uint8_t* codes, Q4_0::Block& block) { PackNibbles(codes, block.qs); }
};
template <>
struct Codes<Q4_1> {
  static constexpr size_t kLevels = 16;
  static void Put(const uint8_t* codes, Q4_1::Block& block) { PackNibbles(codes, block.qs); }
};
template <>
struct Codes<IQ4_NL> {
  static constexpr size_t kLevels = 16;
  static void Put(const uint8_t* codes, IQ4_NL::Block& block) { PackNibbles(codes, block.qs); }
};
template <>
struct Codes<IQ4_XS> {
  static constexpr size_t kLevels = 16;
  static void Put(const uint8_t* codes, IQ4_XS::Block& block) {
    for (size_t k = 0; k < 8; ++k) PackNibbles(codes + 32 * k, block.qs + 16 * k);
  }
};
template <>
struct Codes<Q5_0> {
  static constexpr size_t kLevels = 32;
  static void Put(const uint8_t* codes, Q5_0::Block& block) {
    PackNibbles(codes, block.qs);
    PackFifthBits(codes, block.qh);
  }
};
template <>
struct Codes<Q5_1> {
  static constexpr size_t kLevels = 32;
  static void Put(const uint8_t* codes, Q5_1::Block& block) {
    PackNibbles(codes, block.qs);
    PackFifthBits(codes, block.qh);
  }
};
template <>
struct Codes<Q8_0> {
  static constexpr size_t kLevels = 256;
  static void Put(const uint8_t* codes, Q8_0::Block& block) {
    for (size_t i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(codes[i] ^ 0x80);
  }
};
template <>
struct Codes<Q2_0> {
  static constexpr size_t kLevels = 4;
  static void Put(const uint8_t* codes, Q2_0::Block& block) {
    for (size_t j = 0; j < 16; ++j) {
      unsigned bits = 0;
      for (size_t k = 0; k < 4; ++k) bits |= (codes[4 * j + k] & 3u) << (2 * k);
      block.qs[j] = static_cast<uint8_t>(bits);
    }
  }
};
template <>
struct Codes<Q2_K> {
  static constexpr size_t kLevels = 4;
  static void Put(const uint8_t* codes, Q2_K::Block& block) { PackTwoBits(codes, 0, block.qs); }
};
template <>
struct Codes<Q3_K> {
  static constexpr size_t kLevels = 8;
  static void Put(const uint8_t* codes, Q3_K::Block& block) {
    PackTwoBits(codes, 0, block.qs);
    for (size_t l = 0; l < 32; ++l) {
      unsigned bits = 0;
      for (size_t j = 0; j < 8; ++j) bits |= ((codes[32 * j + l] >> 2) & 1u) << j;
      block.hmask[l] = static_cast<uint8_t>(bits);
    }
  }
};
template <>
struct Codes<Q4_K> {
  static constexpr size_t kLevels = 16;
  static void Put(const uint8_t* codes, Q4_K::Block& block) {
    PackSubBlockNibbles(codes, block.qs);
  }
};
template <>
struct Codes<Q5_K> {
  static constexpr size_t kLevels = 32;
  static void Put(const uint8_t* codes, Q5_K::Block& block) {
    PackSubBlockNibbles(codes, block.qs);
    for (size_t l = 0; l < 32; ++l) {
      unsigned bits = 0;
      for (size_t k = 0; k < 8; ++k) bits |= ((codes[32 * k + l] >> 4) & 1u) << k;
      block.qh[l] = static_cast<uint8_t>(bits);
    }
  }
};
template <>
struct Codes<Q6_K> {
  static constexpr size_t kLevels = 64;
  static void Put(const uint8_t* codes, Q6_K::Block& block) {
    for (size_t h = 0; h < 2; ++h) {
      const uint8_t* half = codes + 128 * h;
      for (size_t l = 0; l < 64; ++l) {
        block.ql[64 * h + l] = static_cast<uint8_t>((half[l] & 15) | (half[64 + l] & 15) << 4);
      }
    }
    PackTwoBits(codes, 4, block.qh);
  }
};
template <size_t kBits, size_t kGroup, bool kZero>
struct Codes<G<kBits, kGroup, kZero>> {
  static constexpr size_t kLevels = size_t{1} << kBits;
  static void Put(const uint8_t* codes, typename G<kBits, kGroup, kZero>::Block& block) {
    for (size_t i = 0; i < kGroup; i += kPlaneChunk) {
      uint8_t chunk[kPlaneChunk];
      // Eight bits are stored in two's complement.
      for (size_t e = 0; e < kPlaneChunk; ++e) {
        chunk[e] = static_cast<uint8_t>(codes[i + e] ^ (kBits == 8 ? 0x80 : 0));
      }
      PackPlanes<kBits>(chunk, block.planes + i / kPlaneChunk * PlaneChunkBytes(kBits));
    }
  }
};

template <class T>
constexpr std::span<const float> StepsOf() {
  if constexpr (std::is_same_v<T, IQ4_NL> || std::is_same_v<T, IQ4_XS>) {
    return kIq4Steps;
  } else {
    return std::span(kWhole).first(Codes<T>::kLevels);
  }
}

}  // namespace

const CodeFace* CodesOf(Format format) {
  const CodeFace* found = nullptr;
  VisitFormat(format, [&]<class T>() {
    if constexpr (requires { Codes<T>::kLevels; }) {
      static const CodeFace face{Codes<T>::kLevels, StepsOf<T>(),
                                 [](const uint8_t* codes, void* block) {
                                   Codes<T>::Put(codes, *static_cast<typename T::Block*>(block));
                                 }};
      found = &face;
    }
  });
  return found;
}

void ReadGrid(Format format, const void* blocks, size_t weights, CodeGrid grid) {
  const FormatInfo& info = Info(format);
  const CodeFace& face = *CodesOf(format);
  const auto* bytes = static_cast<const std::byte*>(blocks);
  const float first = face.steps.front();
  const float range = face.steps.back() - first;
  std::vector<std::byte> block(info.block_bytes);
  std::vector<float> low(info.block_weights), high(info.block_weights);
  std::vector<uint8_t> codes(info.block_weights);
  for (size_t at = 0; at < weights; at += info.block_weights, bytes += info.block_bytes) {
    block.assign(bytes, bytes + info.block_bytes);
    codes.assign(info.block_weights, 0);
    face.put(codes.data(), block.data());
    info.decode(block.data(), info.block_weights, low.data());
    codes.assign(info.block_weights, static_cast<uint8_t>(face.levels - 1));
    face.put(codes.data(), block.data());
    info.decode(block.data(), info.block_weights, high.data());
    for (size_t i = 0; i < info.block_weights; ++i) {
      const float scale = (high[i] - low[i]) / range;
      grid.scale[at + i] = scale;
      grid.base[at + i] = low[i] - scale * first;
    }
  }
}

void PutCodes(Format format, const uint8_t* codes, size_t weights, void* blocks) {
  const FormatInfo& info = Info(format);
  const CodeFace& face = *CodesOf(format);
  auto* bytes = static_cast<std::byte*>(blocks);
  for (size_t at = 0; at < weights; at += info.block_weights, bytes += info.block_bytes) {
    face.put(codes + at, bytes);
  }
}

}  // namespace crossover::quant

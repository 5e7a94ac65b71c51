#include "quant/g/g.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/g/pack_block.h"
#include "quant/g/search.h"

namespace crossover::quant {
namespace {

Lanes SquareRoot(Lanes v) {
  Lanes out{};
  for (size_t s = 0; s < kLanes; ++s) out[s] = std::sqrt(v[s]);
  return out;
}

/// Four groups and the weights of their errors, an element of each in a vector.
///
/// An error's weight is importance·√(σ² + x²), σ² being the group's mean square, as in
/// importance.h; without an importance, that of all columns is 1. Counting large weights' errors
/// more keeps least squares from shrinking what few levels can reach: by Kullback-Leibler
/// divergence on the reference models a tenth to a fifth better at 2 bits, a twentieth at 3, and
/// the same from 4 on.
template <size_t kGroup>
struct FourGroups {
  std::array<Lanes, kGroup> x;
  std::array<Lanes, kGroup> w;

  /// `count` groups from `row`; what is missing is zero.
  FourGroups(const float* row, const float* importance, size_t count) : x(Load(row, count)) {
    const Lanes one = Splat<Lanes>(1.0f);
    w.fill(one);
    if (importance != nullptr) w = Load(importance, count);
    Lanes squares{};
    Lanes total{};
    for (size_t i = 0; i < kGroup; ++i) {
      squares += x[i] * x[i];
      total += w[i];
    }
    const Lanes variance = squares / static_cast<float>(kGroup);
    // Where no column counts, all count alike; and elements do where their squares vanish.
    for (size_t i = 0; i < kGroup; ++i) {
      const Lanes magnitude = SquareRoot(variance + x[i] * x[i]);
      w[i] = (total > 0.0f ? w[i] : one) * (variance > 0.0f ? magnitude : one);
    }
  }

 private:
  static std::array<Lanes, kGroup> Load(const float* values, size_t count) {
    if (count == kLanes) return LoadLanes<Lanes, kGroup>(values);
    float padded[kLanes * kGroup] = {};
    std::copy_n(values, count * kGroup, padded);
    return LoadLanes<Lanes, kGroup>(padded);
  }
};

using Integers [[gnu::vector_size(kLanes * sizeof(int32_t))]] = int32_t;

/// Codes of four groups as bytes in element order.
template <size_t kGroup>
void ChooseCodes(const FourGroups<kGroup>& groups, const GFit<Lanes>& fit, float max_code,
                 float offset, uint8_t codes[kLanes][kGroup]) {
  const Lanes inverse = Reciprocals(fit.d);
  for (size_t i = 0; i < kGroup; ++i) {
    const Lanes code = GCode(groups.x[i], inverse, fit.z, max_code) + offset;
    const auto integers = __builtin_convertvector(code, Integers);
    for (size_t s = 0; s < kLanes; ++s) codes[s][i] = static_cast<uint8_t>(integers[s]);
  }
}

template <size_t kGroup>
void EncodeRowOf(const GShape& shape, std::span<const float> row, const float* importance,
                 uint8_t* blocks) {
  const auto max_code = static_cast<float>(1u << (shape.bits - 1));
  const auto offset = static_cast<float>(GOffset(shape.bits));
  uint8_t codes[kLanes][kGroup];
  for (size_t begin = 0; begin < row.size(); begin += kLanes * kGroup) {
    const size_t count = std::min(kLanes, (row.size() - begin) / kGroup);
    const FourGroups<kGroup> groups(row.data() + begin,
                                    importance == nullptr ? nullptr : importance + begin, count);
    const GGroup<Lanes, kGroup> group(groups.x, groups.w, max_code);
    const GFit<Lanes> fit =
        shape.zero ? SearchGZero(group, shape.bits, offset) : SearchGSymmetric(group, shape.bits);
    ChooseCodes(groups, fit, max_code, offset, codes);
    for (size_t s = 0; s < count; ++s, blocks += GBlockBytes(shape)) {
      PackGBlock(shape, fit.d[s], fit.z[s] + offset, codes[s], blocks);
    }
  }
}

}  // namespace

void PackGBlock(const GShape& shape, float d, float z, const uint8_t* codes, uint8_t* block) {
  const auto put = [&](float value) {
    const Half half = Half::FromFloat(value);
    std::memcpy(block, &half, sizeof(half));
    block += sizeof(half);
  };
  put(d);
  if (shape.zero) put(z);
  VisitGBits(shape.bits, [&]<size_t kBits>() {
    for (size_t i = 0; i < shape.group; i += kPlaneChunk, block += PlaneChunkBytes(kBits)) {
      PackPlanes<kBits>(codes + i, block);
    }
  });
}

void DecodeGBlock(const GShape& shape, const void* block, float* out) {
  const auto* bytes = static_cast<const uint8_t*>(block);
  Half halves[2];
  std::memcpy(halves, bytes, shape.zero ? 4 : 2);
  const float d = halves[0].ToFloat();
  const float z = shape.zero ? halves[1].ToFloat() : static_cast<float>(GOffset(shape.bits));
  bytes += shape.zero ? 4 : 2;
  uint8_t codes[kPlaneChunk];
  VisitGBits(shape.bits, [&]<size_t kBits>() {
    for (size_t i = 0; i < shape.group; i += kPlaneChunk, bytes += PlaneChunkBytes(kBits)) {
      UnpackPlanes<kBits>(bytes, codes);
      for (size_t j = 0; j < kPlaneChunk; ++j) {
        const int q = kBits == 8 ? static_cast<int8_t>(codes[j]) : codes[j];
        out[i + j] = d * static_cast<float>(q) - d * z;
      }
    }
  });
}

void EncodeGRow(const GShape& shape, std::span<const float> row, const float* importance,
                void* blocks) {
  auto* bytes = static_cast<uint8_t*>(blocks);
  if (shape.group == 32) return EncodeRowOf<32>(shape, row, importance, bytes);
  if (shape.group == 64) return EncodeRowOf<64>(shape, row, importance, bytes);
  EncodeRowOf<128>(shape, row, importance, bytes);
}

}  // namespace crossover::quant

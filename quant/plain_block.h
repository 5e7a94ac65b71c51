// What the formats of 32 weights with one scale share: Q4_0 and Q5_0 (signed), Q4_1 and Q5_1 (with
// a minimum). Without importance one pass over the block is all; with it, the searches run on four
// blocks at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quant/importance.h"
#include "quant/search.h"
#include "quant/superblock.h"

namespace crossover::quant {

inline constexpr size_t kPlainBlock = 32;

/// Calls f(x, weights, lanes) for every four blocks of the row; the last call may bring fewer
/// (`lanes`), the rest being zero.
template <class F>
void ForEachFourBlocks(std::span<const float> row, const float* importance, float variance, F&& f) {
  constexpr size_t kGroup = kLanes * kPlainBlock;
  for (size_t begin = 0; begin < row.size(); begin += kGroup) {
    const size_t count = std::min(kGroup, row.size() - begin);
    float x[kGroup] = {};
    float weights[kGroup] = {};
    std::ranges::copy(row.subspan(begin, count), x);
    ImportanceWeights({x, count}, importance + begin, variance, weights);
    f(LoadLanes<Lanes, kPlainBlock>(x), LoadLanes<Lanes, kPlainBlock>(weights),
      count / kPlainBlock);
  }
}

/// The grid that ends at the element of largest magnitude, rounding half up.
inline float EncodeSignedBlock(const float* x, float max_code, uint8_t codes[kPlainBlock]) {
  float magnitude = 0.0f;
  float maximum = 0.0f;
  for (size_t i = 0; i < kPlainBlock; ++i) {
    if (std::abs(x[i]) > magnitude) {
      magnitude = std::abs(x[i]);
      maximum = x[i];
    }
  }
  const float d = maximum / -max_code;
  const float inverse = Reciprocal(d);
  const float top = 2.0f * max_code - 1.0f;
  for (size_t i = 0; i < kPlainBlock; ++i) {
    codes[i] = static_cast<uint8_t>(Clamp(x[i] * inverse + (max_code + 0.5f), 0.0f, top));
  }
  return d;
}

/// y = d·(q - max_code), q in 0 … 2·max_code - 1. kStore(d, codes, block) packs.
template <class Block, void (*kStore)(float, const uint8_t*, Block&)>
void EncodeSignedRow(std::span<const float> row, const float* importance, float max_code,
                     Block* out) {
  uint8_t codes[kPlainBlock];
  if (importance == nullptr) {
    for (size_t i = 0; i < row.size(); i += kPlainBlock) {
      const float d = EncodeSignedBlock(row.data() + i, max_code, codes);
      kStore(d, codes, *out++);
    }
    return;
  }
  ForEachFourBlocks(row, importance, MeanSquare(row),
                    [&](const auto& x, const auto& weights, size_t lanes) {
                      const auto fit = SearchSigned(x, weights, max_code);
                      for (size_t s = 0; s < lanes; ++s) {
                        for (size_t i = 0; i < kPlainBlock; ++i) {
                          codes[i] = static_cast<uint8_t>(SignedCode(x[i], fit, max_code)[s]);
                        }
                        kStore(fit.scale[s], codes, *out++);
                      }
                    });
}

/// The grid from the smallest to the largest element, rounding half up.
inline float EncodeAffineBlock(std::span<const float> x, float max_code, float& min,
                               uint8_t codes[kPlainBlock]) {
  float low = x[0];
  float high = x[0];
  for (const float value : x) {
    low = Min(value, low);
    high = Max(value, high);
  }
  const float d = (high - low) / max_code;
  const float inverse = Reciprocal(d);
  for (size_t i = 0; i < kPlainBlock; ++i) {
    codes[i] = static_cast<uint8_t>(Clamp((x[i] - low) * inverse + 0.5f, 0.0f, max_code));
  }
  min = low;
  return d;
}

/// y = d·q + m, q in 0 … max_code. kStore(d, m, codes, block) packs.
template <class Block, void (*kStore)(float, float, const uint8_t*, Block&)>
void EncodeAffineRow(std::span<const float> row, const float* importance, float max_code,
                     Block* out) {
  uint8_t codes[kPlainBlock];
  if (importance == nullptr) {
    for (size_t i = 0; i < row.size(); i += kPlainBlock) {
      float min;
      const float d = EncodeAffineBlock(row.subspan(i, kPlainBlock), max_code, min, codes);
      kStore(d, min, codes, *out++);
    }
    return;
  }
  ForEachFourBlocks(
      row, importance, MeanSquare(row), [&](const auto& x, const auto& weights, size_t lanes) {
        const auto fit = SearchAffine(x, weights, max_code, kImportanceTries);
        for (size_t s = 0; s < lanes; ++s) {
          for (size_t i = 0; i < kPlainBlock; ++i) {
            const Lanes code = AffineCode(x[i], fit.code_scale, fit.code_min, max_code);
            codes[i] = static_cast<uint8_t>(code[s]);
          }
          kStore(fit.scale[s], fit.min[s], codes, *out++);
        }
      });
}

}  // namespace crossover::quant

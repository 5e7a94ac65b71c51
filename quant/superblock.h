// What the K formats share: 256 weights in sub-blocks, whose scales (and minima) are themselves
// quantised against one half-precision factor; the codes are then chosen for the scales that a
// reader will see.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "quant/half.h"
#include "quant/importance.h"
#include "quant/search.h"

namespace crossover::quant {

inline constexpr size_t kSuperBlock = 256;

template <size_t kLength>
std::array<float, kSuperBlock / kLength> SumEach(const float weights[kSuperBlock]) {
  std::array<float, kSuperBlock / kLength> sums{};
  for (size_t k = 0; k < sums.size(); ++k) {
    for (size_t i = 0; i < kLength; ++i) sums[k] += weights[k * kLength + i];
  }
  return sums;
}

/// Values in 0 … max as codes 0 … max_code, the largest value at the largest code. Returns the
/// factor.
template <size_t kCount>
float ScaleToMaximum(const std::array<float, kCount>& values, float max_code,
                     std::array<uint8_t, kCount>& codes) {
  const float max = std::max(0.0f, *std::ranges::max_element(values));
  const float inverse = max > 0.0f ? max_code / max : 0.0f;
  for (size_t k = 0; k < kCount; ++k) {
    codes[k] = static_cast<uint8_t>(RoundClamped(inverse * values[k], 0.0f, max_code));
  }
  return max / max_code;
}

/// Codes 0 … max_code of one sub-block with y = scale·q - min.
template <size_t kLength>
void RequantizeAffine(const float* x, float scale, float min, float max_code, uint8_t* codes) {
  for (size_t i = 0; i < kLength; ++i) {
    codes[i] = static_cast<uint8_t>(RoundClamped((x[i] + min) / scale, 0.0f, max_code));
  }
}

/// Codes 0 … 2·max_code - 1 of one sub-block with y = scale·(q - max_code).
template <size_t kLength>
void RequantizeSigned(const float* x, float scale, float max_code, uint8_t* codes) {
  for (size_t i = 0; i < kLength; ++i) {
    codes[i] =
        static_cast<uint8_t>(RoundClamped(x[i] / scale, -max_code, max_code - 1.0f) + max_code);
  }
}

/// The parameters of an affine K format and its searches.
struct AffineRule {
  float max_code;
  float max_scale;            // of the sub-blocks' scales and minima: 15 or 63
  AffineTries tries;          // without importance
  float importance_variance;  // σ² in ImportanceWeights, as a multiple of the mean square
};
inline constexpr AffineTries kImportanceTries{-0.9f, 0.05f, 36, true};

/// y = d·scales[k]·q - dmin·mins[k].
template <size_t kLength>
struct AffineSuperBlock {
  static constexpr size_t kSubBlocks = kSuperBlock / kLength;
  Half d;
  Half dmin;
  std::array<uint8_t, kSubBlocks> scales;
  std::array<uint8_t, kSubBlocks> mins;
  std::array<uint8_t, kSuperBlock> codes;
};

/// `weights` are those of the errors; `important` chooses the searches that go with an importance.
template <size_t kLength>
AffineSuperBlock<kLength> EncodeAffine(const float* x, const float* weights, bool important,
                                       const AffineRule& rule) {
  AffineSuperBlock<kLength> block;
  constexpr size_t kSubBlocks = AffineSuperBlock<kLength>::kSubBlocks;
  std::array<float, kSubBlocks> scales;
  std::array<float, kSubBlocks> mins;
  for (size_t k = 0; k < kSubBlocks; k += kLanes) {
    const auto lanes = LoadLanes<Lanes, kLength>(x + k * kLength);
    const auto fit = SearchAffine(lanes, LoadLanes<Lanes, kLength>(weights + k * kLength),
                                  rule.max_code, important ? kImportanceTries : rule.tries);
    StoreLanes(fit.scale, &scales[k]);
    StoreLanes(-fit.min, &mins[k]);
    // These codes stay only where the quantised scale is zero and there is nothing to choose.
    for (size_t i = 0; i < kLength; ++i) {
      const Lanes code = AffineCode(lanes[i], fit.code_scale, fit.code_min, rule.max_code);
      for (size_t s = 0; s < kLanes; ++s) {
        block.codes[(k + s) * kLength + i] = static_cast<uint8_t>(code[s]);
      }
    }
  }

  if (important) {
    const auto sums = SumEach<kLength>(weights);
    block.d = Half::FromFloat(SearchPositive(scales, sums, rule.max_scale, block.scales));
    block.dmin = Half::FromFloat(SearchPositive(mins, sums, rule.max_scale, block.mins));
  } else {
    block.d = Half::FromFloat(ScaleToMaximum(scales, rule.max_scale, block.scales));
    block.dmin = Half::FromFloat(ScaleToMaximum(mins, rule.max_scale, block.mins));
  }

  for (size_t k = 0; k < kSubBlocks; ++k) {
    const float scale = block.d.ToFloat() * static_cast<float>(block.scales[k]);
    if (scale == 0.0f) continue;
    const float min = block.dmin.ToFloat() * static_cast<float>(block.mins[k]);
    RequantizeAffine<kLength>(x + k * kLength, scale, min, rule.max_code,
                              &block.codes[k * kLength]);
  }
  return block;
}

}  // namespace crossover::quant

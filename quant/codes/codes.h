// Codes put into blocks whose scales stay: what a method needs that chooses codes by other rules
// than the formats' own searches (GPTQ). What a code means is the format's Decode to say; this adds
// only where codes lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quant/format.h"

namespace crossover::quant {

struct CodeFace {
  /// Codes are 0 … levels - 1; decoded values rise or fall with them, never both.
  size_t levels;
  /// [levels]; element e of a block decodes to base_e + scale_e · steps[code], up to rounding.
  std::span<const float> steps;
  /// Replaces all codes of one block, in element order; scales stay.
  void (*put)(const uint8_t* codes, void* block);
};

/// Null for formats without codes (F32, F16, BF16), and for those whose codes are no single weights
/// or no even steps: codebooks, ternary weights, 4-bit floats, signs.
const CodeFace* CodesOf(Format format);

/// What the codes of a row can become, with the scales that its blocks have.
struct CodeGrid {
  std::span<float> base;   // [weights]
  std::span<float> scale;  // [weights]; 0 where all codes mean the same
};

/// Fills `grid` from a row of blocks. Precondition: CodesOf(format) is not null.
void ReadGrid(Format format, const void* blocks, size_t weights, CodeGrid grid);

/// The code whose value is nearest to x; 0 where scale is 0.
inline uint8_t NearestCode(const CodeFace& face, float base, float scale, float x) {
  if (scale == 0.0f) return 0;
  const float v = (x - base) / scale;
  const std::span<const float> steps = face.steps;
  const size_t last = steps.size() - 1;
  if (!(v > steps[0])) return 0;
  if (v >= steps[last]) return static_cast<uint8_t>(last);
  if (steps[1] - steps[0] == 1.0f && steps[last] - steps[0] == static_cast<float>(last)) {
    return static_cast<uint8_t>(v - steps[0] + 0.5f);
  }
  size_t code = 0;
  while (v >= 0.5f * (steps[code] + steps[code + 1])) {
    if (++code == last) break;
  }
  return static_cast<uint8_t>(code);
}

/// Replaces the codes of a row of blocks.
void PutCodes(Format format, const uint8_t* codes, size_t weights, void* blocks);

}  // namespace crossover::quant

// Other ways to find the scales of the uniform family than its own search (g.h), to compare with.
#pragma once

#include <span>

#include "quant/g/g.h"

namespace crossover::quant {

/// Round to nearest, as the papers' baseline has it: a group's range divided evenly. With a zero
/// point from the smallest to the largest weight, zero included, and the zero point rounded;
/// without, ±the largest magnitude over 2^bits - 1 steps.
void EncodeGByRange(const GShape& shape, std::span<const float> row, void* blocks);

/// The least Σ importance·(x - x̂)² that is found: from what the family's own search finds, which
/// weighs large weights more, and from forty ranges, each narrower than the one before, codes and
/// least-squares scale (and zero point) take turns until neither moves. No importance counts all
/// columns alike.
void EncodeGByLeastSquares(const GShape& shape, std::span<const float> row, const float* importance,
                           void* blocks);

}  // namespace crossover::quant

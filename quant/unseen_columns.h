// Importance measures what a text did, and a column that no token of it reached has 0 there. Its
// weights are still weights: an error that counts for nothing is one the searches make at will, and
// a block of such columns has no scale at all.
#pragma once

#include <cstddef>
#include <span>

namespace crossover::quant {

/// Makes the importance of one matrix's columns (finite, ≥ 0) fit for the encoders and returns how
/// many of them had no data. Those get a share of what the others have (their geometric mean, which
/// a few columns of huge activations do not move); if none has data, all get 1, which weighs them
/// alike. A column without data is one of 0, or of so small a part of the mean that the encoders'
/// sums would underflow.
///
/// Encoders look at ratios only, so a matrix whose values are far from 1 is scaled by a power of
/// two, which keeps products within a float's range and changes no code. A matrix of ordinary size
/// whose columns all have data comes out as it was, bit for bit.
size_t FillUnseenColumns(std::span<float> importance);

}  // namespace crossover::quant

// A row of a weight matrix as floats: what an embedding is looked up by.
#pragma once

#include <cstddef>

#include "kernels/matmul.h"

namespace crossover::kernels {

/// Row `row` of W to float32 out[cols], the same floats in either layout. Precondition:
/// row < W.rows.
void DecodeMatrixRow(const Matrix& w, size_t row, float* out);

}  // namespace crossover::kernels

// Making the packed form of a matrix (spec.h).
#pragma once

#include <cstddef>

#include "kernels/matmul.h"
#include "kernels/packed/spec.h"
#include "kernels/team.h"

namespace crossover::kernels {

/// Whether matrices of this format have a packed form.
bool HasPackedForm(quant::Format format);

/// Precondition: HasPackedForm(w.format).
PackedGeometry GeometryOf(const Matrix& w);

/// Bytes of the packed form of 16 rows: theirs, with columns rounded up to whole units and bytes to
/// a cache line.
size_t PackedGroupBytes(const Matrix& w);

/// Of the whole matrix, its rows rounded up to 16.
size_t PackedBytes(const Matrix& w);

/// Bytes of a matrix in its layout.
size_t StoredBytes(const Matrix& w);

/// Called by all workers: each packs its share of w into `out` (PackedBytes,
/// aligned to 64). No barrier at the end. Precondition: HasPackedForm(w.format), w in the file's
/// layout.
void Pack(const Worker& worker, const Matrix& w, std::byte* out);

}  // namespace crossover::kernels

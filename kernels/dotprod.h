// Arm's dot product of bytes (FEAT_DotProd). Highway's NEON target goes without it, so the kernels
// that multiply bytes are compiled once more, as the level neon_dotprod: kernels/meson.build lists
// them, simd-inl.h gives them a namespace and a target, and their tables ask here which to return.
// What else such a CPU runs is that of the level neon.
#pragma once

namespace crossover::kernels {

/// Whether the selected level is neon_dotprod.
bool DotprodSelected();

}  // namespace crossover::kernels

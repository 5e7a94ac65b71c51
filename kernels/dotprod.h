// Dot products of bytes that Highway's targets go without: Arm's (FEAT_DotProd) on top of NEON, and
// AVX-VNNI on top of AVX2. The kernels that multiply bytes are compiled once more, as the level
// neon_dotprod or avx2_vnni: kernels/meson.build lists them, simd-inl.h gives them a namespace and
// a target, and their tables ask here which to return. What else such a CPU runs is that of the
// level neon or avx2.
#pragma once

namespace crossover::kernels {

/// Whether the selected level is neon_dotprod or avx2_vnni.
bool DotprodSelected();

}  // namespace crossover::kernels

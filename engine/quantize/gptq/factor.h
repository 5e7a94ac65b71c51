// H + λI, with its columns in the order in which GPTQ takes them, as M·D·Mᵀ with M unit lower
// triangular.
//
// GPTQ (Frantar et al., arXiv 2210.17323) rounds a row's weights one after the other and spreads
// each error over those to come by the Cholesky factor of H⁻¹. The same codes come out of H's own
// factor, without an inverse (LDLQ: Chee et al., arXiv 2307.13304, theorem 6): with e = w - ŵ,
//
//   e (H + λI) eᵀ = Σ_p D_p · (e M)_p²,   (e M)_p = e_p + Σ_{i > p} e_i M_ip,
//
// so from the last position to the first, ŵ_p is what is nearest to w_p + Σ_{i > p} e_i M_ip.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/quantize/gptq/hessian.h"

namespace crossover::engine {

struct HessianFactor {
  /// order[p]: the column at position p. Taken from the last on, which has the largest diagonal
  /// ("act-order").
  std::vector<size_t> order;
  std::vector<float> unit;     // M, [n][n]; above the diagonal undefined
  std::vector<double> pivots;  // D
  double damping = 0;          // what came of `damping`: raised until H + λI had a factor

  size_t size() const { return order.size(); }
};

/// λ = damping · mean of H's diagonal. The diagonal is first scaled to 1, so that float32 has to
/// hold the correlations only; blocks are factored in double, what they do to the rest is a float32
/// product of the kernels'. Error(kNonFinite) if H is no matrix of finite numbers.
HessianFactor FactorHessian(kernels::Team& team, const Hessian& hessian, double damping);

}  // namespace crossover::engine

// Transcendental functions over arrays: exp, tanh and sin/cos, by xsimd, one table of functions per
// instruction set.
//
// xsimd chooses its instruction set when it is compiled, so vector_math-inl.h is compiled once per
// set (a file each, with that set's flags), and Highway's dispatch picks the table: --isa holds
// here as for every kernel. Who uses what: whole rows (gated units, softmax, RoPE tables, the soft
// cap) come here, where a call costs nothing against the row; only the online softmax of attention,
// whose exponentials stay in registers between two reductions, uses Highway's own Exp.
#pragma once

#include <cstddef>
#include <string_view>

namespace crossover::kernels {

struct VectorMath {
  std::string_view arch;  // xsimd's name of the instruction set, for tests and logs

  /// x[i] ← tanh(x[i]).
  void (*tanh)(size_t n, float* x);
  /// gate[i] ← silu(gate[i]) · up[i].
  void (*swiglu)(const float* up, size_t n, float* gate);
  /// gate[i] ← gelu(gate[i]) · up[i]; see Gate in rows.h.
  void (*geglu)(const float* up, size_t n, float* gate);
  /// x ← softmax(x); see rows.h.
  void (*softmax)(size_t n, float* x);
  /// See RopeTable in rows.h.
  void (*rope_table)(size_t position, size_t rotary_dim, float base, const float* factors,
                     float magnitude, float* cos_sin);
};

/// gelu(z) = z/2 (1 + tanh u) = z / (1 + e^-2u) with u = √(2/π) (z + 0.044715 z³), so that -2u is
/// z · (kGeluLinear + kGeluCubic · z²).
inline constexpr float kGeluLinear = -1.5957691216057308f;  // -2 √(2/π)
inline constexpr float kGeluCubic = 0.044715f * kGeluLinear;

/// The table of the selected ISA level (isa.h).
const VectorMath& SelectedVectorMath();

// One per instruction set, each in its own file; which ones exist depends on the target machine.
extern const VectorMath kVectorMathScalar;  // the C library, a value at a time
#if defined(__x86_64__)
extern const VectorMath kVectorMathSse4;
extern const VectorMath kVectorMathAvx2;
extern const VectorMath kVectorMathAvx512;
#elif defined(__aarch64__)
extern const VectorMath kVectorMathNeon;
#endif

}  // namespace crossover::kernels

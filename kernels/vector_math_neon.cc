#include "kernels/vector_math-inl.h"

namespace crossover::kernels {

constinit const VectorMath kVectorMathNeon = detail::VectorMathOf<xsimd::neon64>::Table("neon64");

}  // namespace crossover::kernels

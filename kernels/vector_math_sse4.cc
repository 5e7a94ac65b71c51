#include "kernels/vector_math-inl.h"

namespace crossover::kernels {

constinit const VectorMath kVectorMathSse4 = detail::VectorMathOf<xsimd::sse4_2>::Table("sse4.2");

}  // namespace crossover::kernels

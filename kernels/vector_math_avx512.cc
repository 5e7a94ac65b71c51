#include "kernels/vector_math-inl.h"

namespace crossover::kernels {

constinit const VectorMath kVectorMathAvx512 =
    detail::VectorMathOf<xsimd::avx512bw>::Table("avx512bw");

}  // namespace crossover::kernels

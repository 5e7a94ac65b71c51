#include "kernels/vector_math-inl.h"

namespace crossover::kernels {

constinit const VectorMath kVectorMathAvx2 =
    detail::VectorMathOf<xsimd::fma3<xsimd::avx2>>::Table("fma3+avx2");

}  // namespace crossover::kernels

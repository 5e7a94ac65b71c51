#include "kernels/vector_math.h"

#include <cmath>
#include <limits>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vector_math.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

const VectorMath* Table() {
#if defined(__aarch64__) && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return &kVectorMathNeon;
#elif HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  return &kVectorMathScalar;
#elif HWY_TARGET == HWY_AVX2
  return &kVectorMathAvx2;
#elif HWY_TARGET == HWY_SSE4
  return &kVectorMathSse4;
#elif HWY_TARGET < HWY_AVX2  // AVX3 and its successors: a better target has a smaller number
  return &kVectorMathAvx512;
#else                        // SSSE3, SSE2: below what xsimd's files are compiled for
  return &kVectorMathScalar;
#endif
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {

void ScalarTanh(size_t n, float* x) {
  for (size_t i = 0; i < n; ++i) x[i] = std::tanh(x[i]);
}

void ScalarSwiGlu(const float* up, size_t n, float* gate) {
  for (size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void ScalarGeGlu(const float* up, size_t n, float* gate) {
  for (size_t i = 0; i < n; ++i) {
    const float z = gate[i];
    gate[i] = z / (1.0f + std::exp(z * (kGeluLinear + kGeluCubic * z * z))) * up[i];
  }
}

void ScalarSoftmax(size_t n, float* x) {
  float shift = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) shift = x[i] > shift ? x[i] : shift;
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    x[i] = std::exp(x[i] - shift);
    sum += x[i];
  }
  const float factor = static_cast<float>(1.0 / sum);
  for (size_t i = 0; i < n; ++i) x[i] *= factor;
}

void ScalarRopeTable(size_t position, size_t rotary_dim, float base, const float* factors,
                     float magnitude, float* cos_sin) {
  const size_t pairs = rotary_dim / 2;
  const double step = -2.0 / static_cast<double>(rotary_dim) * std::log(double{base});
  for (size_t i = 0; i < pairs; ++i) {
    const double frequency =
        std::exp(step * static_cast<double>(i)) / (factors != nullptr ? factors[i] : 1.0f);
    const double angle =
        std::remainder(static_cast<double>(position) * frequency, 2 * std::numbers::pi);
    cos_sin[i] = static_cast<float>(std::cos(angle) * magnitude);
    cos_sin[pairs + i] = static_cast<float>(std::sin(angle) * magnitude);
  }
}

HWY_EXPORT(Table);

}  // namespace

constinit const VectorMath kVectorMathScalar = {"scalar",    ScalarTanh,    ScalarSwiGlu,
                                                ScalarGeGlu, ScalarSoftmax, ScalarRopeTable};

const VectorMath& SelectedVectorMath() { return *HWY_DYNAMIC_DISPATCH(Table)(); }

}  // namespace crossover::kernels
#endif  // HWY_ONCE

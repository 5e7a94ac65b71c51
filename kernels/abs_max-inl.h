// The largest magnitude of a run of floats.
#if defined(CROSSOVER_KERNELS_ABS_MAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ABS_MAX_INL_H_
#undef CROSSOVER_KERNELS_ABS_MAX_INL_H_
#else
#define CROSSOVER_KERNELS_ABS_MAX_INL_H_
#endif

#include <bit>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// max |x[i]|, `n` a multiple of 16. Magnitudes are compared as integers: the order is the same,
/// and a NaN is larger than all numbers instead of getting lost, so that it reaches the result.
HWY_INLINE float AbsMax(const float* x, size_t n) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto magnitude = hn::Set(di, 0x7fffffff);
  auto max = hn::Zero(di);
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    max = hn::Max(max, hn::And(hn::BitCast(di, hn::LoadU(d, x + i)), magnitude));
  }
  return std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(di, max)));
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_ABS_MAX_INL_H_

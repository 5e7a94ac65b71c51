// Where the drivers of the packed form leave their results.
#if defined(CROSSOVER_KERNELS_PACKED_STORE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_STORE_ROWS_INL_H_
#undef CROSSOVER_KERNELS_PACKED_STORE_ROWS_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_STORE_ROWS_INL_H_
#endif

#include <algorithm>

#include "kernels/matmul_kernels.h"
#include "kernels/packed/codes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// y of one token and up to 16 rows.
inline void StoreRows(const MatMulShare& share, size_t t, size_t row, const float* values) {
  const size_t n = std::min(kPackedRows, share.rows.end - row);
  float* y = share.y + t * share.y_stride + row;
#if HWY_TARGET != HWY_SCALAR
  if (n == kPackedRows) {
    const PackedFloats df;
    for (size_t i = 0; i < kPackedRows; i += kLaneRows) {
      VFloats value = hn::LoadU(df, values + i);
      if (share.bias != nullptr) value = hn::Add(value, hn::LoadU(df, share.bias + row + i));
      if (share.accumulate) value = hn::Add(hn::LoadU(df, y + i), value);
      hn::StoreU(value, df, y + i);
    }
    return;
  }
#endif
  for (size_t i = 0; i < n; ++i) {
    const float value = share.bias != nullptr ? values[i] + share.bias[row + i] : values[i];
    y[i] = share.accumulate ? y[i] + value : value;
  }
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_STORE_ROWS_INL_H_

// Activations as operands of the tile units.
#include <algorithm>
#include <cstring>

#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/fill_tile.cc"
#include <hwy/foreach_target.h>

#include "kernels/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

void Fill(const float* x, size_t tokens, size_t cols, size_t chunk, uint8_t* tile) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  constexpr size_t kCols = 32;
  for (size_t t = 0; t < tokens; ++t) {
    const float* from = x + t * cols + chunk * kCols;
    auto* out = reinterpret_cast<uint16_t*>(tile) + t * kCols;
    for (size_t i = 0; i < kCols; i += hn::Lanes(d)) {
      const auto bits = BFloat16Bits(d, hn::LoadU(d, from + i));
      hn::StoreU(hn::DemoteTo(d16, bits), d16, out + i);
    }
  }
  std::memset(tile + tokens * kCols * 2, 0, (16 - tokens) * kCols * 2);
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(Fill);
}

void FillTokenTile(const float* x, size_t tokens, size_t cols, size_t chunk, uint8_t* tile) {
  HWY_DYNAMIC_DISPATCH(Fill)(x, tokens, cols, chunk, tile);
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

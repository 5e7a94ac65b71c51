#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/decode_row.cc"
#include <hwy/foreach_target.h>

#include "kernels/decode/all-inl.h"
#include "kernels/decode/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// One block's integers to floats: w = scale · code - min.
template <class F>
HWY_INLINE void BlockToFloat(const typename F::Block& block, float* HWY_RESTRICT out) {
  using D = Decoder<F>;
  constexpr size_t kGroups = F::kBlockWeights / D::kGroup;
  alignas(64) typename D::Code codes[F::kBlockWeights];
  alignas(64) float scales[kGroups];
  alignas(64) float mins[kGroups];
  D::Unpack(block, codes, scales, mins);

  const hn::CappedTag<float, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<typename D::Code, decltype(d)> d8;
  for (size_t g = 0; g < kGroups; ++g) {
    const auto scale = hn::Set(d, scales[g]);
    const auto min = hn::Set(d, mins[g]);
    for (size_t i = g * D::kGroup; i < (g + 1) * D::kGroup; i += hn::Lanes(d)) {
      const auto code = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, codes + i)));
      hn::StoreU(hn::MulSub(code, scale, min), d, out + i);
    }
  }
}

template <class F>
void DecodeBlocks(const void* blocks, size_t weights, float* out) {
  const auto* block = static_cast<const typename F::Block*>(blocks);
  if constexpr (kDecodesToIntegers<F>) {
    for (size_t i = 0; i < weights; i += F::kBlockWeights) BlockToFloat<F>(*block++, out + i);
  } else {
    Decoder<F>::ToFloat(block, weights, out);
  }
}

using Table = FormatTable<DecodeRowFn>;

const Table& DecodeTable() {
  static constexpr Table kTable =
      MakeFormatTable<DecodeRowFn>([]<class F>() -> DecodeRowFn { return DecodeBlocks<F>; });
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(DecodeTable);
}

std::span<const DecodeRowFn> DecodeRowTable() { return HWY_DYNAMIC_DISPATCH(DecodeTable)(); }

void DecodeRow(quant::Format format, const void* blocks, size_t weights, float* out) {
  DecodeRowTable()[FormatIndex(format)](blocks, weights, out);
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

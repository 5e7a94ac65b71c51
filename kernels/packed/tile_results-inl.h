// What becomes of the sums of a product on tiles: floats in their place, or f(gate) ⊙ up as tiles
// of the next product.
#if defined(CROSSOVER_KERNELS_PACKED_TILE_RESULTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_TILE_RESULTS_INL_H_
#undef CROSSOVER_KERNELS_PACKED_TILE_RESULTS_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_TILE_RESULTS_INL_H_
#endif

#include <algorithm>

#include "kernels/matmul_kernels.h"
#include "kernels/packed/gated_tile-inl.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/tile_steps-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

constexpr size_t kPairTokens = 32;
constexpr size_t kTileFloats = 256;
constexpr size_t kSumFloats = 4 * kTileFloats;  // of a pair of token tiles × a pair of row groups

/// y of 16 tokens and up to 16 rows from `row` on.
HWY_INLINE void StoreTile(const MatMulShare& share, size_t t0, size_t row, const float* sums) {
  if (row >= share.rows.end || t0 >= share.tokens) return;
  const size_t tokens = std::min<size_t>(16, share.tokens - t0);
  const size_t n = std::min(kPackedRows, share.rows.end - row);
  const __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  const __m512 bias =
      share.bias != nullptr ? _mm512_maskz_loadu_ps(mask, share.bias + row) : _mm512_setzero_ps();
  for (size_t t = 0; t < tokens; ++t) {
    float* y = share.y + (t0 + t) * share.y_stride + row;
    __m512 value = _mm512_loadu_ps(sums + t * 16);
    if (share.bias != nullptr) value = _mm512_add_ps(value, bias);
    if (share.accumulate) value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y), value);
    _mm512_mask_storeu_ps(y, mask, value);
  }
}

/// f(gate) ⊙ up of the pairs of token tiles that a block finishes. Floats are stored after the
/// block instead: their stores wait for memory, and beside the products these would wait for them.
class GatedResults : public Work {
 public:
  /// `out`: tiles of [tokens][width] from the block's first token on; `group`: the block's first
  /// group of rows.
  GatedResults(Gate gate, uint8_t* out, size_t width, size_t group)
      : some_(gate == Gate::kSilu ? Some<Gate::kSilu> : Some<Gate::kGelu>),
        out_(out),
        width_(width),
        group_(group) {}

  /// `sums`: tokens [0, 16) of W_gate's and W_up's rows, then tokens [16, 32). `slots`: calls of
  /// Some() that follow; after them `sums` is not read any more.
  void Take(size_t row_pair, size_t token_pair, const float* sums, size_t slots) {
    Finish();
    const size_t group = group_ + row_pair;
    tiles_ = out_ + token_pair * kPairTokens * width_ * sizeof(uint16_t) +
             group / 2 * 2 * kTileBytes + group % 2 * 32;
    sums_ = sums;
    token_ = 0;
    portion_ = (kPairTokens + slots - 1) / slots;
    some = some_;
  }
  void Finish() {
    while (some != nullptr) some(*this);
  }

 private:
  template <Gate kGate>
  CROSSOVER_TILES static void Some(Work& work) {
    auto& self = static_cast<GatedResults&>(work);
    const size_t end = std::min(self.token_ + self.portion_, kPairTokens);
    for (; self.token_ < end; ++self.token_) {
      const size_t t = self.token_;
      const float* gate = self.sums_ + t / 16 * 2 * kTileFloats + t % 16 * 16;
      StoreGatedRow<kGate>(gate, gate + kTileFloats, self.tiles_ + t * 64);
    }
    if (end == kPairTokens) self.some = nullptr;
  }

  void (*some_)(Work&);
  uint8_t* out_;
  size_t width_;
  size_t group_;
  uint8_t* tiles_ = nullptr;  // the place of the next results
  const float* sums_ = nullptr;
  size_t token_ = 0;
  size_t portion_ = 1;
};

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_TILE_RESULTS_INL_H_

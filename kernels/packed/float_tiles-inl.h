// B tiles (AMX-BF16) from rows of floats as they lie in the file: F32, F16 and BF16 weights,
// rounded to bfloat16. Their number of columns is a multiple of 32.
#if defined(CROSSOVER_KERNELS_PACKED_FLOAT_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_FLOAT_TILES_INL_H_
#undef CROSSOVER_KERNELS_PACKED_FLOAT_TILES_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_FLOAT_TILES_INL_H_
#endif

#include <algorithm>
#include <type_traits>

#include "kernels/matmul.h"
#include "kernels/packed/tile_steps-inl.h"
#include "quant/format_list.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86_64

template <class F>
constexpr bool HasFloatTiles() {
  return std::is_same_v<F, quant::F32> || std::is_same_v<F, quant::F16> ||
         std::is_same_v<F, quant::BF16>;
}

/// 32 neighbouring weights as bfloat16.
template <class F>
CROSSOVER_TILES HWY_INLINE __m512i LoadBFloats(const uint8_t* p) {
  if constexpr (std::is_same_v<F, quant::BF16>) {
    return _mm512_loadu_si512(p);
  } else if constexpr (std::is_same_v<F, quant::F16>) {
    const auto half = [p](size_t i) CROSSOVER_TILES {
      return _mm512_maskz_cvtph_ps(
          kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * i)));
    };
    return BFloats(half(0), half(1));
  } else {
    return BFloats(_mm512_loadu_ps(p), _mm512_loadu_ps(p + 64));
  }
}

template <class F>
class FloatTiles {
 public:
  /// Sixteen rows, or those that are left.
  struct Group {
    const uint8_t* first;
    size_t rows;
  };

  explicit FloatTiles(const Matrix& w) : row_bytes_(w.cols * kWeightBytes) {}

  Group GroupAt(const Matrix& w, size_t index) const {
    const size_t row = index * 16;
    return {static_cast<const uint8_t*>(w.data) + row * row_bytes_,
            std::min<size_t>(16, w.rows - row)};
  }

  /// Asks for piece `piece` of kPanelTiles of the weights of a panel that begins at `tile`: a row.
  HWY_INLINE void Fetch(const Group& group, size_t tile, size_t piece) const {
    static_assert(kPanelTiles == 16);
    if (piece >= group.rows) return;
    const size_t begin = tile * kTileRowBytes;
    const size_t end = std::min(begin + kPanelTiles * kTileRowBytes, row_bytes_);
    for (size_t i = begin; i < end; i += 64) {
      __builtin_prefetch(group.first + piece * row_bytes_ + i, 0, 2);
    }
  }

  /// Decodes tile `tile` to `out`, with a step of the product before it. Rows that are missing
  /// repeat the last.
  template <class AnyWork>
  CROSSOVER_TILES HWY_INLINE void DecodeWith(const uint8_t* x, const uint8_t* w, size_t count,
                                             const uint8_t* ahead, const Group& group, size_t tile,
                                             uint8_t* out, AnyWork& work) const {
    TileStep(x, w, count, ahead, work);
    __m512i rows[16];
    for (size_t r = 0; r < 16; ++r) {
      rows[r] = LoadBFloats<F>(group.first + std::min(r, group.rows - 1) * row_bytes_ +
                               tile * kTileRowBytes);
    }
    Transpose(rows);
    for (size_t i = 0; i < 16; ++i) _mm512_store_si512(out + 64 * i, rows[i]);
  }

 private:
  static constexpr size_t kWeightBytes = sizeof(typename F::Block);
  static constexpr size_t kTileRowBytes = kTileColumns * kWeightBytes;
  size_t row_bytes_;
};

#endif

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_PACKED_FLOAT_TILES_INL_H_

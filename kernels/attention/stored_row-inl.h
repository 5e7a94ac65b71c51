// Rows of K and V as pages hold them, decoded in registers: 32 values of a row are a Unit, and
// Unit::Load<v>() is its v-th register of floats, bit for bit what DecodeRow gives.
#if defined(CROSSOVER_KERNELS_ATTENTION_STORED_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_STORED_ROW_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_STORED_ROW_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_STORED_ROW_INL_H_
#endif

#include <hwy/cache_control.h>

#include <cstddef>

#include "kernels/half-inl.h"
#include "kernels/simd-inl.h"
#include "quant/format_list.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;
constexpr size_t kLanes = hn::MaxLanes(FloatTag());
constexpr size_t kUnit = 32;
constexpr size_t kUnitVectors = kUnit / kLanes;

/// Rows that have been decoded to floats, one after the other.
struct DecodedRow {
  class Unit {
   public:
    Unit() = default;
    HWY_INLINE Unit(const void* row, size_t x) : data_(static_cast<const float*>(row) + x) {}
    template <size_t v>
    HWY_INLINE FloatVec Load() const {
      return hn::LoadU(FloatTag(), data_ + v * kLanes);
    }

   private:
    const float* data_;
  };
};

template <class F>
struct StoredRow;

template <>
struct StoredRow<quant::F32> : DecodedRow {};

template <>
struct StoredRow<quant::F16> {
  class Unit {
   public:
    Unit() = default;
    HWY_INLINE Unit(const void* row, size_t x) : data_(static_cast<const uint16_t*>(row) + x) {}
    template <size_t v>
    HWY_INLINE FloatVec Load() const {
      const FloatTag d;
      return HalvesToFloats(d, hn::LoadU(hn::Rebind<uint16_t, FloatTag>(), data_ + v * kLanes));
    }

   private:
    const uint16_t* data_;
  };
};

template <>
struct StoredRow<quant::BF16> {
  class Unit {
   public:
    Unit() = default;
    HWY_INLINE Unit(const void* row, size_t x) : data_(static_cast<const uint16_t*>(row) + x) {}
    template <size_t v>
    HWY_INLINE FloatVec Load() const {
      const hn::RebindToUnsigned<FloatTag> du;
      const auto bits = hn::LoadU(hn::Rebind<uint16_t, FloatTag>(), data_ + v * kLanes);
      return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
    }

    HWY_INLINE const uint16_t* data() const { return data_; }

   private:
    const uint16_t* data_;
  };
};

template <>
struct StoredRow<quant::Q8_0> {
  class Unit {
   public:
    Unit() = default;
    HWY_INLINE Unit(const void* row, size_t x)
        : block_(static_cast<const quant::Q8_0::Block*>(row) + x / kUnit),
          scale_(hn::Set(FloatTag(), HalfToFloat(block_->d))) {}
    template <size_t v>
    HWY_INLINE FloatVec Load() const {
      const FloatTag d;
      const hn::RebindToSigned<FloatTag> di;
      const auto codes = hn::LoadU(hn::Rebind<int8_t, FloatTag>(), block_->qs + v * kLanes);
      return hn::Mul(hn::ConvertTo(d, hn::PromoteTo(di, codes)), scale_);
    }

   private:
    const quant::Q8_0::Block* block_;
    FloatVec scale_;
  };
};

template <>
struct StoredRow<quant::Q4_0> {
  class Unit {
   public:
    Unit() = default;
    HWY_INLINE Unit(const void* row, size_t x)
        : block_(static_cast<const quant::Q4_0::Block*>(row) + x / kUnit),
          scale_(hn::Set(FloatTag(), HalfToFloat(block_->d))),
          min_(hn::Mul(hn::Set(FloatTag(), 8.0f), scale_)) {}
    template <size_t v>
    HWY_INLINE FloatVec Load() const {
      const FloatTag d;
      const hn::RebindToSigned<FloatTag> di;
      constexpr size_t kFirst = v * kLanes;
      const auto packed = hn::LoadU(hn::Rebind<uint8_t, FloatTag>(), block_->qs + kFirst % 16);
      const auto wide = hn::PromoteTo(di, packed);
      const auto code = kFirst < 16 ? hn::And(wide, hn::Set(di, 15)) : hn::ShiftRight<4>(wide);
      return hn::MulSub(hn::ConvertTo(d, code), scale_, min_);
    }

   private:
    const quant::Q4_0::Block* block_;
    FloatVec scale_;
    FloatVec min_;
  };
};

/// Rows that will be read next. Runs of a page are short (16 positions of a head by default), and
/// no hardware prefetcher knows where the next one lies.
struct NextRows {
  const std::byte* const* rows;
  size_t bytes;  // of a row; 0: nothing to ask for

  HWY_INLINE void Fetch(size_t j) const {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(rows[j] + i, 0, 2);
  }
};

template <class F>
concept KvFormat = requires(const void* row) {
  typename StoredRow<F>::Unit;
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_ATTENTION_STORED_ROW_INL_H_

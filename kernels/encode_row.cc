// Float rows to the formats that KV pages hold, the same bytes as quant's scalar encoders.
#include <cstring>
#include <string>

#include "base/error.h"
#include "kernels/format_table.h"
#include "kernels/matmul_kernels.h"
#include "quant/format_list.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/encode_row.cc"
#include <hwy/foreach_target.h>

#include "kernels/abs_max-inl.h"
#include "kernels/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

using DF = hn::ScalableTag<float>;

template <class F>
struct Encoder;

template <>
struct Encoder<quant::F32> {
  static void Row(const float* row, size_t n, quant::F32::Block* out) {
    std::memcpy(out, row, n * sizeof(float));
  }
};

template <>
struct Encoder<quant::F16> {
  static void Row(const float* row, size_t n, quant::F16::Block* out) {
    const DF d;
    const hn::Rebind<uint16_t, DF> d16;
    size_t i = 0;
    for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
      hn::StoreU(FloatsToHalves(d, hn::LoadU(d, row + i)), d16, &out[i].value.bits);
    }
    for (; i < n; ++i) out[i].value = quant::Half::FromFloat(row[i]);
  }
};

template <>
struct Encoder<quant::BF16> {
  static void Row(const float* row, size_t n, quant::BF16::Block* out) {
    const DF d;
    const hn::Rebind<uint16_t, DF> d16;
    size_t i = 0;
    for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
      const auto bits = BFloat16Bits(d, hn::LoadU(d, row + i));
      hn::StoreU(hn::DemoteTo(d16, bits), d16, &out[i].value.bits);
    }
    for (; i < n; ++i) out[i].value = quant::BFloat16::FromFloat(row[i]);
  }
};

/// The value of largest magnitude, the first of equals, with its sign.
HWY_INLINE float SignedAbsMax32(const float* row) {
  float largest = 0.0f;
  float magnitude = 0.0f;
  for (size_t i = 0; i < 32; ++i) {
    const float a = row[i] < 0.0f ? -row[i] : row[i];
    if (a > magnitude) {
      magnitude = a;
      largest = row[i];
    }
  }
  return largest;
}

template <>
struct Encoder<quant::Q8_0> {
  static void Row(const float* row, size_t n, quant::Q8_0::Block* out) {
    const hn::CappedTag<float, 16> d;
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<int8_t, decltype(d)> d8;
    for (; n >= 32; n -= 32, row += 32, ++out) {
      const float scale = AbsMax(row, 32) / 127.0f;
      const auto inverse = hn::Set(d, scale != 0.0f ? 1.0f / scale : 0.0f);
      out->d = quant::Half::FromFloat(scale);
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        // Halves go away from zero. x + 0.5 could itself round up, so the fraction decides.
        const auto x = hn::Mul(hn::LoadU(d, row + i), inverse);
        const auto whole = hn::ConvertTo(di, x);
        const auto fraction = hn::Sub(x, hn::ConvertTo(d, whole));
        const auto up = hn::VecFromMask(d, hn::Ge(fraction, hn::Set(d, 0.5f)));
        const auto down = hn::VecFromMask(d, hn::Le(fraction, hn::Set(d, -0.5f)));
        const auto rounded = hn::Add(hn::Sub(whole, hn::BitCast(di, up)), hn::BitCast(di, down));
        hn::StoreU(hn::DemoteTo(d8, rounded), d8, out->qs + i);
      }
    }
  }
};

template <>
struct Encoder<quant::Q4_0> {
  static void Row(const float* row, size_t n, quant::Q4_0::Block* out) {
    const hn::CappedTag<float, 16> d;
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<uint8_t, decltype(d)> d8;
    for (; n >= 32; n -= 32, row += 32, ++out) {
      const float scale = SignedAbsMax32(row) / -8.0f;
      const auto inverse = hn::Set(d, scale != 0.0f ? 1.0f / scale : 0.0f);
      out->d = quant::Half::FromFloat(scale);
      uint8_t codes[32];
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        const auto x = hn::Mul(hn::LoadU(d, row + i), inverse);
        const auto code = hn::ConvertTo(di, hn::Add(x, hn::Set(d, 8.5f)));
        hn::StoreU(hn::DemoteTo(d8, hn::Min(code, hn::Set(di, 15))), d8, codes + i);
      }
      for (size_t j = 0; j < 16; ++j) {
        out->qs[j] = static_cast<uint8_t>(codes[j] | codes[16 + j] << 4);
      }
    }
  }
};

template <class F>
void EncodeBlocks(const float* row, size_t weights, void* blocks) {
  Encoder<F>::Row(row, weights, static_cast<typename F::Block*>(blocks));
}

template <class F>
concept HasEncoder = requires(const float* row, typename F::Block* out) {
  Encoder<F>::Row(row, size_t{}, out);
};

using Table = FormatTable<EncodeRowFn>;

const Table& EncodeTable() {
  static constexpr Table kTable = MakeFormatTable<EncodeRowFn>([]<class F>() -> EncodeRowFn {
    if constexpr (HasEncoder<F>) return EncodeBlocks<F>;
    return nullptr;
  });
  return kTable;
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(EncodeTable);
}

std::span<const EncodeRowFn> EncodeRowTable() { return HWY_DYNAMIC_DISPATCH(EncodeTable)(); }

void EncodeRow(quant::Format format, const float* row, size_t weights, void* blocks) {
  const EncodeRowFn encode = EncodeRowTable()[FormatIndex(format)];
  if (encode == nullptr) {
    throw Error(ErrorCode::kUnsupported, std::string(quant::Info(format).name) +
                                             " is no KV format; use F32, F16, BF16, Q8_0 or Q4_0");
  }
  encode(row, weights, blocks);
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE

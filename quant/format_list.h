// THE list of formats: a new one is a folder and a row here. Run-time tables, names on the command
// line, kernels and tests are generated from it.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

#include "quant/bf16/bf16.h"
#include "quant/f16/f16.h"
#include "quant/f32/f32.h"
#include "quant/format.h"
#include "quant/g/g.h"
#include "quant/iq1_m/iq1_m.h"
#include "quant/iq1_s/iq1_s.h"
#include "quant/iq2_s/iq2_s.h"
#include "quant/iq2_xs/iq2_xs.h"
#include "quant/iq2_xxs/iq2_xxs.h"
#include "quant/iq3_s/iq3_s.h"
#include "quant/iq3_xxs/iq3_xxs.h"
#include "quant/iq4_nl/iq4_nl.h"
#include "quant/iq4_xs/iq4_xs.h"
#include "quant/mxfp4/mxfp4.h"
#include "quant/nvfp4/nvfp4.h"
#include "quant/parts.h"
#include "quant/q1_0/q1_0.h"
#include "quant/q2_0/q2_0.h"
#include "quant/q2_k/q2_k.h"
#include "quant/q3_k/q3_k.h"
#include "quant/q4_0/q4_0.h"
#include "quant/q4_1/q4_1.h"
#include "quant/q4_k/q4_k.h"
#include "quant/q5_0/q5_0.h"
#include "quant/q5_1/q5_1.h"
#include "quant/q5_k/q5_k.h"
#include "quant/q6_k/q6_k.h"
#include "quant/q8_0/q8_0.h"
#include "quant/tq1_0/tq1_0.h"
#include "quant/tq2_0/tq2_0.h"

namespace crossover::quant {

/// What a format struct has to offer.
template <class T>
concept WeightFormat = requires(std::span<const float> row, const float* importance,
                                typename T::Block* blocks) {
  { T::kName } -> std::convertible_to<std::string_view>;
  { T::kFormat } -> std::convertible_to<Format>;
  { T::kBlockWeights } -> std::convertible_to<size_t>;
  { T::kQuantized } -> std::convertible_to<bool>;
  T::EncodeRow(row, importance, blocks);
  requires alignof(typename T::Block) <= 2;
  // How a block comes apart (parts.h), from which its decoders follow, or a decoder.
  requires HasParts<T> || requires(const typename T::Block& in, float* out) { T::Decode(in, out); };
};

template <WeightFormat... Ts>
struct TypeList {
  static constexpr size_t kSize = sizeof...(Ts);

  /// f.template operator()<T>() for every T, in order.
  template <class F>
  static constexpr void ForEach(F&& f) {
    (f.template operator()<Ts>(), ...);
  }

  /// f.template operator()<T>() for the T of that format; false if it is not in the list.
  template <class F>
  static constexpr bool Visit(Format format, F&& f) {
    return ((Ts::kFormat == format ? (f.template operator()<Ts>(), true) : false) || ...);
  }
};

namespace internal {
template <class... Lists>
struct Join;
template <class... Ts>
struct Join<TypeList<Ts...>> {
  using List = TypeList<Ts...>;
};
template <class... As, class... Bs, class... Rest>
struct Join<TypeList<As...>, TypeList<Bs...>, Rest...> : Join<TypeList<As..., Bs...>, Rest...> {};
}  // namespace internal

/// One list after the other.
template <class... Lists>
using Concat = typename internal::Join<Lists...>::List;

/// The uniform family of one width.
template <size_t kBits>
using GWidth = TypeList<G<kBits, 32, false>, G<kBits, 64, false>, G<kBits, 128, false>,
                        G<kBits, 32, true>, G<kBits, 64, true>, G<kBits, 128, true>>;
using GFormats =
    Concat<GWidth<2>, GWidth<3>, GWidth<4>, GWidth<5>, GWidth<6>, GWidth<7>, GWidth<8>>;

using FileFormats = TypeList<F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K,
                             Q6_K, IQ4_NL, IQ4_XS, Q2_0, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, IQ2_XXS,
                             IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ1_S, IQ1_M>;
using AllFormats = Concat<FileFormats, GFormats>;

/// For example: ForEachFormat([]<class T>() { Register<T>(T::kName); });
template <class F>
constexpr void ForEachFormat(F&& f) {
  AllFormats::ForEach(f);
}

/// Turns a run-time format into a type: VisitFormat(format, [&]<class T>() { Run<T>(…); });
template <class F>
constexpr bool VisitFormat(Format format, F&& f) {
  return AllFormats::Visit(format, f);
}

}  // namespace crossover::quant

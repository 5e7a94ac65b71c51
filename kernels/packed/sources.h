// What kernels are compiled for: the packed forms of all formats.
#pragma once

#include <array>

#include "kernels/decode/all-inl.h"
#include "kernels/packed/source.h"
#include "quant/format_list.h"

namespace crossover::kernels {

/// A row per format: select.template operator()<what kernels are compiled for>(), null where it has
/// no packed form.
template <class Fn, class Select>
constexpr std::array<Fn, quant::AllFormats::kSize> PackedFunctions(Select select) {
  std::array<Fn, quant::AllFormats::kSize> table{};
  size_t n = 0;
  quant::ForEachFormat([&]<class F>() {
    if constexpr (PackedSource<F>::kExists) {
      table[n] = select.template operator()<CompiledSpec(PackedSource<F>::kSpec)>();
    }
    ++n;
  });
  return table;
}

}  // namespace crossover::kernels

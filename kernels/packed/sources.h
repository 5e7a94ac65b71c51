// What kernels are compiled for: the packed forms of all formats.
#pragma once

#include "kernels/decode/all-inl.h"
#include "kernels/format_table.h"
#include "kernels/packed/source.h"

namespace crossover::kernels {

/// A row per format: select.template operator()<what kernels are compiled for>(), null where it has
/// no packed form.
template <class Fn, class Select>
constexpr FormatTable<Fn> PackedFunctions(Select select) {
  return MakeFormatTable<Fn>([=]<class F>() -> Fn {
    if constexpr (PackedSource<F>::kExists) {
      return select.template operator()<CompiledSpec(PackedSource<F>::kSpec)>();
    }
    return nullptr;
  });
}

}  // namespace crossover::kernels

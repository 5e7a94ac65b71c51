// Tables that kernels are looked up in: a row per format, in the order of quant::Formats().
#pragma once

#include <array>
#include <cstddef>

#include "quant/format_list.h"

namespace crossover::kernels {

template <class Row>
using FormatTable = std::array<Row, quant::AllFormats::kSize>;

/// Row for format F: row_of.template operator()<F>().
template <class Row, class RowOf>
constexpr FormatTable<Row> MakeFormatTable(RowOf row_of) {
  FormatTable<Row> table{};
  size_t n = 0;
  quant::ForEachFormat([&]<class F>() { table[n++] = row_of.template operator()<F>(); });
  return table;
}

}  // namespace crossover::kernels

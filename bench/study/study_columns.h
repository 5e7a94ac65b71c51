// What a study says of each cell: a row a metric, from which the report's table and its CSV are
// made. A metric more is a row more here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/study/record.h"

namespace crossover::bench {

struct StudyColumn {
  std::string name = {};  // in the CSV
  std::string unit = {};  // of the CSV's field; empty: text, or a number of things
  /// The CSV's field, in full precision; empty where there is none.
  std::function<std::string(const CellRecord&)> get = nullptr;
  std::string title = {};  // in the table; empty: not there
  /// The table's field, "n/a" where there is none. Precondition: record.ok().
  std::function<std::string(const CellRecord&)> text = nullptr;
  bool left = false;      // aligned in the table
  bool optional = false;  // in the table only where a cell has a field of it
};

/// In the order of the CSV and of the table. A plan's tasks are not among them: they stand behind
/// kTasksBehind in the table and at the end of the CSV.
std::vector<StudyColumn> StudyColumns();
inline constexpr const char* kTasksBehind = "same_top";

}  // namespace crossover::bench

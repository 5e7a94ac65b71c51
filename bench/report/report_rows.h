// The rows that the report's table shows, as text, for the terminal and for HTML alike.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bench/study/record.h"

namespace crossover::bench {

/// Smallest model first, most bits first; failed cells behind the measured ones of their model.
std::vector<CellRecord> InReportOrder(std::vector<CellRecord> records);

struct ReportColumn {
  std::string title = {};
  bool left = false;
};

struct ReportRows {
  std::vector<ReportColumn> columns = {};
  struct Row {
    std::vector<std::string> cells = {};  // as many as columns
    bool first_of_model = false;
  };
  std::vector<Row> rows = {};              // measured cells
  std::vector<std::string> failures = {};  // "reference-m/Q2_K: killed by …"
};

/// Precondition: records are in report order.
ReportRows MakeReportRows(std::span<const CellRecord> records);

/// What a reader must know before the figures: that the machine was not quiet; models whose own
/// file is quantised, so that all figures are distances from that file. One line each; usually
/// none.
std::vector<std::string> ReportWarnings(std::span<const CellRecord> records);

/// How many items and tokens stand behind the figures, on what machine, when: one line each.
std::vector<std::string> ReportNotes(std::span<const CellRecord> records);

}  // namespace crossover::bench

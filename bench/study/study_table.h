// A running study on a terminal: a row for each cell as it is done, and below them the one that
// runs and when the rest will be done. Silent where stderr is no terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/progress.h"
#include "bench/study/record.h"
#include "bench/study/study_cells.h"

namespace crossover::bench {

class StudyTable {
 public:
  /// `cells`: those that are still to be measured.
  StudyTable(const std::string& study, const std::vector<StudyCell>& cells, bool quiet);

  void Start(const StudyCell& cell);
  /// What is done of it now: "quantising".
  void Step(const std::string& what);
  /// Call a few times a second.
  void Tick();
  void Finish(const StudyCell& cell, const CellRecord& record);
  /// Another process measured it.
  void Skip(const StudyCell& cell);

 private:
  using Clock = std::chrono::steady_clock;

  /// Seconds that a unit of work has taken so far.
  double SecondsOfWork() const;

  bool enabled_ = false;
  size_t width_ = 0;  // of the cells' names
  size_t cells_ = 0;
  size_t started_ = 0;
  bool header_ = false;
  double total_work_ = 0;
  double done_work_ = 0;     // of cells, skipped ones aside
  double done_seconds_ = 0;  // that they took
  const StudyCell* cell_ = nullptr;
  Clock::time_point start_ = {};
  Progress progress_;
};

/// A cell's row, without its name: for the table and its tests.
std::string StudyRow(const CellRecord& record);

}  // namespace crossover::bench

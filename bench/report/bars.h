// Stacked horizontal bars as SVG, for shares of a whole: told apart by darkness and by hatching, so
// that they are as readable in grey.
#pragma once

#include <string>
#include <vector>

namespace crossover::bench {

struct Bar {
  std::string name = {};
  std::vector<double> parts = {};  // 1 together
};

struct BarSpec {
  std::string title = {};
  std::vector<std::string> parts = {};  // their names, at most four
  std::vector<Bar> bars = {};
};

/// "<svg …>…</svg>" of any number of bars, the names of the parts below. Ids begin with `prefix`.
std::string DrawBars(const BarSpec& spec, const std::string& prefix);

}  // namespace crossover::bench

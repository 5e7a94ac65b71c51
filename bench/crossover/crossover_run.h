// Measures the crossover of a model (crossover.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>

#include "bench/crossover/crossover.h"
#include "bench/settings.h"

namespace crossover::bench {

/// Loads the model and measures a cell for each number of tokens: after a warm-up, `repetitions`
/// rounds over pass, products, resident and stream in turn, each as often as takes some 20 ms, so
/// that drift of the machine hits all alike. Error(kOutOfMemory) if the model does not fit into the
/// memory that is free, before it is loaded; Error(kInterrupted).
CrossoverModel MeasureCrossover(const std::filesystem::path& path, const Settings& settings,
                                const CrossoverMetric& metric,
                                const std::function<void(size_t done, size_t total)>& progress);

/// People's view: a row a cell, then where the bound changes.
std::string CrossoverTable(std::span<const CrossoverModel> models);
/// One line a cell, for spreadsheets.
std::string CrossoverCsv(std::span<const CrossoverModel> models);

/// Where the bound changes as something else than tokens varies.
struct BoundAcross {
  std::string what = {};      // "format Q4_K", "3.1e9 parameters": what is held fixed
  std::string variable = {};  // "parameters", "bits a weight"
  size_t tokens = 0;
  std::optional<double> change = {};  // nothing: all points on one side
  bool communication = false;         // then: on which
};
/// For each number of tokens: over bits a weight for files of equal size in parameters, and over
/// parameters for files of equal format; where there are two at least. Disturbed cells are left
/// out.
std::vector<BoundAcross> BoundsAcross(std::span<const CrossoverModel> models);

}  // namespace crossover::bench

// The report's claims, each with its evidence: sentences, plots, and tables that hold the plots'
// numbers.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/crossover/crossover.h"
#include "bench/report/plot.h"
#include "bench/report/report_rows.h"
#include "bench/study/record.h"

namespace crossover::bench {

struct Plot {
  std::string title = {};  // a sentence that can stand for the picture
  std::string svg = {};    // "<svg …>…</svg>"
};

/// What a field of a table says by its colour, beside its text.
enum class Tone { kNone, kGood, kBad, kEven };

struct SectionTable {
  std::string caption = {};
  std::vector<ReportColumn> columns = {};
  std::vector<std::vector<std::string>> rows = {};
  /// How dark a field is, 0 to 1; as many as fields, or empty.
  std::vector<std::vector<double>> shades = {};
  std::vector<std::vector<Tone>> tones = {};  // likewise
};

/// What somebody claimed, and what it is worth here. Each a sentence or more; empty: not said.
struct Claim {
  std::string said = {};     // and in which version of what
  std::string sample = {};   // that stands behind the figures
  std::string refuted = {};  // by what it would be, and how much of that was found
};

struct Section {
  std::string heading = {};
  Claim claim = {};
  std::vector<std::string> paragraphs = {};
  std::vector<Plot> plots = {};
  std::vector<SectionTable> tables = {};
};

/// Draws a plot, or nothing where there is nothing to draw with.
using Draw = std::function<std::optional<Plot>(const PlotSpec&)>;

/// Precondition: records are in report order (report_rows.h).
std::vector<Section> MakeSections(std::span<const CellRecord> records, const Draw& draw);

Section QualitySection(std::span<const CellRecord> records, const Draw& draw);
Section CostSection(std::span<const CellRecord> records, const Draw& draw);
Section CrossoverSection(std::span<const CellRecord> records, const Draw& draw);

Section PredictionSection(std::span<const CellRecord> records, const Draw& draw);

/// A line a fit: model, quantity, unit, intercept, slope, its band, R².
std::string FitsCsv(std::span<const CellRecord> records);

/// The measured cells' crossovers, named as the cells.
std::vector<CrossoverModel> Crossovers(std::span<const CellRecord> records);

}  // namespace crossover::bench

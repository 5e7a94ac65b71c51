// The first two claims: what bits do to quality, and what they cost.
#include "bench/report/report_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/counted.h"
#include "bench/report/equal_bytes_report.h"
#include "bench/report/findings.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr const char* kBits = "effective bits per weight (BPW)";
constexpr double kOneDecade = 6;  // from where on a linear axis would hide the small ones

/// A series a model, its points in order of x; empty series are left out.
template <class ToPoint>
PlotSpec ByModel(std::string title, std::string x_label, std::string y_label,
                 std::span<const CellRecord> records, const ToPoint& to_point) {
  PlotSpec spec{
      .title = std::move(title), .x_label = std::move(x_label), .y_label = std::move(y_label)};
  double low = HUGE_VAL;
  double high = 0;
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    const std::optional<PlotPoint> point = to_point(*record.measurement);
    if (!point || !std::isfinite(point->y)) continue;
    if (spec.series.empty() || spec.series.back().name != record.model) {
      spec.series.push_back({.name = record.model});
    }
    spec.series.back().points.push_back(*point);
    low = std::min(low, point->low);
    high = std::max(high, point->high);
  }
  for (PlotSeries& series : spec.series) {
    std::sort(series.points.begin(), series.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  }
  spec.log_y = low > 0 && high > kOneDecade * low;
  return spec;
}

void AddPlot(const Draw& draw, const PlotSpec& spec, Section& section) {
  if (spec.series.empty()) return;
  if (auto plot = draw(spec)) section.plots.push_back(std::move(*plot));
}

std::optional<PlotPoint> PerplexityAt(double x, const Measurement& m) {
  if (!m.perplexity || !std::isfinite(m.perplexity->ppl)) return std::nullopt;
  const double error = std::isfinite(m.perplexity->ppl_stderr) ? m.perplexity->ppl_stderr : 0;
  return PlotPoint{x, m.perplexity->ppl, m.perplexity->ppl - error, m.perplexity->ppl + error};
}

std::optional<PlotPoint> AccuracyAt(double x, const Measurement& m) {
  const auto mean = MeanAccuracy(m);
  if (!mean) return std::nullopt;
  const double error = 100 * mean->standard_error;
  return PlotPoint{x, 100 * mean->value, 100 * mean->value - error, 100 * mean->value + error};
}

/// What is fitted, and how it is shown.
struct Cost {
  Quantity quantity;
  const char* name;
  const char* unit;
  double scale;  // of the unit
};
constexpr Cost kCosts[] = {{Quantity::kDecodeSeconds, "Decode time a token", "ms", 1e3},
                           {Quantity::kPrefillSeconds, "Prefill time a token", "ms", 1e3},
                           {Quantity::kRssBytes, "Peak resident memory", "MB", 1e-6},
                           {Quantity::kJoules, "Energy a decoded token", "J", 1},
                           {Quantity::kFileBytes, "File size", "MB", 1e-6}};

/// The line over the points' span, with its band; on a logarithmic axis nothing goes below zero.
std::vector<PlotPoint> FitPoints(const LinearFit& fit, const std::vector<PlotPoint>& points,
                                 double scale, bool log_y) {
  constexpr int kSteps = 24;
  std::vector<PlotPoint> line;
  const double least = log_y ? points.front().low * 0.2 : 0;
  for (int i = 0; i <= kSteps; ++i) {
    const double x = points.front().x + (points.back().x - points.front().x) * i / kSteps;
    const double y = fit.At(x) * scale;
    const double band = fit.Band(x) * scale;
    if (log_y && y <= least) continue;
    line.push_back({x, y, std::max(y - band, least), y + band});
  }
  return line;
}

PlotSpec CostPlot(const Cost& cost, std::span<const Point> points,
                  const std::vector<ModelFit>& fits) {
  PlotSpec spec{.title = fmt::format("{} against bits per weight: line and 95 % band", cost.name),
                .x_label = kBits,
                .y_label = fmt::format("{}, {}", cost.name, cost.unit)};
  double low = HUGE_VAL;
  double high = 0;
  for (const Point& point : points) {
    const auto value = ValueOf(point, cost.quantity);
    if (!value) continue;
    if (spec.series.empty() || spec.series.back().name != point.model) {
      spec.series.push_back({.name = point.model});
    }
    const double y = *value * cost.scale;
    spec.series.back().points.push_back({point.bpw, y, y, y});
    low = std::min(low, y);
    high = std::max(high, y);
  }
  spec.log_y = high > kOneDecade * low;
  for (PlotSeries& series : spec.series) {
    std::sort(series.points.begin(), series.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
    for (const ModelFit& fit : fits) {
      if (fit.model != series.name) continue;
      series.fit = FitPoints(fit.fit, series.points, cost.scale, spec.log_y);
      series.connected = false;
    }
  }
  return spec;
}

void AddFitRows(const Cost& cost, const std::vector<ModelFit>& fits, SectionTable& table) {
  for (const ModelFit& fit : fits) {
    table.rows.push_back(
        {fit.model, cost.name, cost.unit, Significant(fit.fit.intercept * cost.scale),
         fmt::format("{} ± {}", Significant(fit.fit.slope * cost.scale),
                     Significant(fit.fit.SlopeBand() * cost.scale)),
         fmt::format("{:.4f}", fit.fit.r_squared), std::to_string(fit.fit.points)});
  }
}

Claim CostClaim(std::span<const Point> points) {
  Claim claim{.said =
                  "the paper (its abstract): what a model costs follows its effective bits a "
                  "weight nearly in a line."};
  size_t lines = 0;
  size_t not_linear = 0;
  size_t flat = 0;
  std::string sample;
  for (const Cost& cost : kCosts) {
    if (cost.quantity == Quantity::kFileBytes) continue;
    size_t cells = 0;
    const std::vector<ModelFit> fits = FitAgainstBits(points, cost.quantity);
    for (const ModelFit& fit : fits) {
      cells += fit.fit.points;
      not_linear += fit.fit.r_squared < kLinear ? 1 : 0;
      flat += fit.fit.slope - fit.fit.SlopeBand() <= 0 ? 1 : 0;
    }
    lines += fits.size();
    if (cells == 0) continue;
    sample += fmt::format("{}{} in {} of {}", sample.empty() ? "" : "; ", cost.name,
                          Counted(cells, "cell"), Counted(fits.size(), "model"));
  }
  if (lines == 0) return claim;
  claim.sample = sample + ". Recipes differ in their kernels as well as in their bits.";
  claim.refuted = fmt::format(
      "a line that explains less than {} of the variance (R²): {} of {}; or one whose slope's 95 % "
      "interval reaches 0: {}.",
      Percent(kLinear), not_linear, Counted(lines, "line"), flat);
  return claim;
}

std::string EnergyReason(std::span<const CellRecord> records) {
  for (const CellRecord& record : records) {
    if (record.ok() && record.measurement->speed &&
        !record.measurement->speed->energy_j_per_token) {
      return "Energy: n/a, " + record.measurement->speed->energy_reason + ".";
    }
  }
  return "";
}

}  // namespace

Section QualitySection(std::span<const CellRecord> records, const Draw& draw) {
  Section section{.heading =
                      "At equal bytes, a larger model with fewer bits beats a smaller one "
                      "with more"};
  const std::vector<Point> points = Points(records);
  if (std::none_of(points.begin(), points.end(),
                   [](const Point& point) { return point.ppl || point.accuracy; })) {
    section.paragraphs.push_back(
        "n/a: no cell has real weights and a measure of quality. A shape's weights are random; "
        "crossover study PLAN --model NAME=FILE gives it real ones.");
    return section;
  }
  const EqualBytes equal = CompareCurves(points);
  section.claim = EqualBytesClaim(equal, records);
  section.paragraphs = {IsoSizeText(points), ThresholdText(equal)};
  const auto bits = [](const Measurement& m) { return m.effective_bpw; };
  const auto size = [](const Measurement& m) { return static_cast<double>(m.file_bytes) / 1e6; };
  const char* ppl_label = "perplexity (lower is better)";
  AddPlot(draw,
          ByModel("Perplexity against bits per weight (bars: standard error)", kBits, ppl_label,
                  records, [&](const auto& m) { return PerplexityAt(bits(m), m); }),
          section);
  PlotSpec iso = ByModel(
      "Perplexity against file size: at equal bytes the lower curve is the "
      "better use of them",
      "file, MB", ppl_label, records, [&](const auto& m) { return PerplexityAt(size(m), m); });
  iso.log_x = true;
  AddPlot(draw, iso, section);
  AddPlot(
      draw,
      ByModel("Mean task accuracy against bits per weight (bars: standard error)", kBits,
              "mean accuracy, %", records, [&](const auto& m) { return AccuracyAt(bits(m), m); }),
      section);
  if (!equal.cells.empty()) section.tables.push_back(EqualBytesMap(equal));
  if (!equal.pairs.empty()) section.tables.push_back(BreakEvenTable(equal));
  return section;
}

Section CostSection(std::span<const CellRecord> records, const Draw& draw) {
  Section section{.heading = "Time, memory and energy grow in a line with the bits per weight"};
  const std::vector<Point> points = Points(records);
  section.claim = CostClaim(points);
  section.paragraphs.push_back(LinearityText(points));
  if (const std::string reason = EnergyReason(records); !reason.empty()) {
    section.paragraphs.push_back(reason);
  }
  SectionTable table{.caption =
                         "Lines fitted by least squares: quantity = at 0 bits + slope · BPW "
                         "(± half the 95 % interval)",
                     .columns = {{"model", true},
                                 {"quantity", true},
                                 {"unit", true},
                                 {"at 0 bits"},
                                 {"slope a bit"},
                                 {"R²"},
                                 {"cells"}}};
  for (const Cost& cost : kCosts) {
    const std::vector<ModelFit> fits = FitAgainstBits(points, cost.quantity);
    AddFitRows(cost, fits, table);
    // The file's line is the definition of the bits, no finding.
    if (cost.quantity != Quantity::kFileBytes) AddPlot(draw, CostPlot(cost, points, fits), section);
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  return section;
}

std::string FitsCsv(std::span<const CellRecord> records) {
  std::string csv = "model,quantity,unit,intercept,slope,slope_band_95,r_squared,cells\n";
  const std::vector<Point> points = Points(records);
  for (const Cost& cost : kCosts) {
    for (const ModelFit& fit : FitAgainstBits(points, cost.quantity)) {
      csv += fmt::format("{},{},{},{},{},{},{},{}\n", CsvField(fit.model), cost.name, cost.unit,
                         fit.fit.intercept * cost.scale, fit.fit.slope * cost.scale,
                         fit.fit.SlopeBand() * cost.scale, fit.fit.r_squared, fit.fit.points);
    }
  }
  return csv;
}

std::vector<Section> MakeSections(std::span<const CellRecord> records, const Draw& draw) {
  return {QualitySection(records, draw), CostSection(records, draw),
          CrossoverSection(records, draw), PredictionSection(records, draw)};
}

}  // namespace crossover::bench

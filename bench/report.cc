#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/findings.h"
#include "bench/plot.h"
#include "bench/report_rows.h"
#include "bench/study.h"

namespace crossover::bench {
namespace {

/// A series a model, its points in order of BPW, from what `point` makes of a measured cell.
template <class ToPoint>
PlotSpec Against(const char* title, const char* y_label, bool log_y,
                 std::span<const CellRecord> records, const ToPoint& to_point) {
  PlotSpec spec{.title = title,
                .x_label = "effective bits per weight (BPW)",
                .y_label = y_label,
                .log_y = log_y};
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    const std::optional<PlotPoint> point = to_point(*record.measurement);
    if (!point) continue;
    if (spec.series.empty() || spec.series.back().name != record.model) {
      spec.series.push_back({.name = record.model});
    }
    spec.series.back().points.push_back(*point);
  }
  for (PlotSeries& series : spec.series) {
    std::sort(series.points.begin(), series.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  }
  return spec;
}

std::optional<PlotPoint> PerplexityPoint(const Measurement& m) {
  if (!m.perplexity || !std::isfinite(m.perplexity->ppl)) return std::nullopt;
  const double error = std::isfinite(m.perplexity->ppl_stderr) ? m.perplexity->ppl_stderr : 0;
  return PlotPoint{m.effective_bpw, m.perplexity->ppl, m.perplexity->ppl - error,
                   m.perplexity->ppl + error};
}

std::optional<PlotPoint> SpeedPoint(const Measurement& m, SpeedResult ModelBenchResult::*test) {
  if (!m.speed) return std::nullopt;
  const Summary summary = ((*m.speed).*test).summary();
  return PlotPoint{m.effective_bpw, summary.median, summary.min, summary.max};
}

std::vector<PlotSpec> PlotSpecs(std::span<const CellRecord> records) {
  std::vector<PlotSpec> specs{
      Against("Perplexity against bits per weight (bars: standard error)",
              "perplexity (lower is better)", true, records, PerplexityPoint),
      Against("Decode speed against bits per weight (bars: min–max)", "decode, tokens/s", true,
              records, [](const auto& m) { return SpeedPoint(m, &ModelBenchResult::decode); }),
      Against("Prefill speed against bits per weight (bars: min–max)", "prefill, tokens/s", true,
              records, [](const auto& m) { return SpeedPoint(m, &ModelBenchResult::prefill); })};
  std::erase_if(specs, [](const PlotSpec& spec) { return spec.series.empty(); });
  return specs;
}

}  // namespace

Report MakeReport(const std::filesystem::path& directory) {
  const std::vector<CellRecord> records =
      InReportOrder(LatestRecords(ReadRecords(ResultsPath(directory))));
  if (records.empty()) {
    throw Error(ErrorCode::kNotFound, fmt::format("{} has no records yet; run the study first",
                                                  ResultsPath(directory).string()));
  }
  Report report{.html = directory / "report.html",
                .csv = directory / "results.csv",
                .table = ReportTable(records),
                .findings = FindingsParagraph(records)};
  std::vector<Plot> plots;
  if (HaveGnuplot()) {
    for (const PlotSpec& spec : PlotSpecs(records)) {
      plots.push_back(
          {.title = spec.title, .svg = DrawSvg(spec, fmt::format("plot{}", plots.size()))});
    }
  } else {
    report.warning = "gnuplot is not installed (Debian: gnuplot-nox), so the report has no plots";
  }
  WriteFile(report.csv, ReportCsv(records));
  WriteFile(report.html, ReportHtml(records, plots, report.warning));
  return report;
}

}  // namespace crossover::bench

#include "bench/report.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/crossover_run.h"
#include "bench/findings.h"
#include "bench/plot.h"
#include "bench/report_rows.h"
#include "bench/study.h"

namespace crossover::bench {
namespace {

/// Where threads vary, a model with so many of them is a model of its own: fits and curves are of
/// one machine at work.
std::vector<CellRecord> ApartByThreads(std::vector<CellRecord> records) {
  std::set<size_t> threads;
  for (const CellRecord& record : records) threads.insert(record.settings.threads);
  if (threads.size() < 2) return records;
  for (CellRecord& record : records) {
    record.model += fmt::format(" ({} threads)", record.settings.threads);
  }
  return records;
}

}  // namespace

Report MakeReport(const std::filesystem::path& directory) {
  const std::vector<CellRecord> records =
      InReportOrder(ApartByThreads(LatestRecords(ReadRecords(ResultsPath(directory)))));
  if (records.empty()) {
    throw Error(ErrorCode::kNotFound, fmt::format("{} has no records yet; run the study first",
                                                  ResultsPath(directory).string()));
  }
  Report report{.html = directory / "report.html",
                .csv = directory / "results.csv",
                .table = ReportTable(records),
                .findings = FindingsParagraph(records)};
  size_t drawn = 0;
  const bool can_draw = HaveGnuplot();
  if (!can_draw) {
    report.warning = "gnuplot is not installed (Debian: gnuplot-nox), so the report lacks plots";
  }
  const Draw draw = [&](const PlotSpec& spec) -> std::optional<Plot> {
    if (!can_draw) return std::nullopt;
    return Plot{.title = spec.title, .svg = DrawSvg(spec, fmt::format("plot{}", drawn++))};
  };
  const std::vector<Section> sections = MakeSections(records, draw);
  WriteFile(report.csv, ReportCsv(records));
  if (const auto models = Crossovers(records); !models.empty()) {
    report.more.push_back(directory / "passes.csv");
    WriteFile(report.more.back(), CrossoverCsv(models));
  }
  report.more.push_back(directory / "fits.csv");
  WriteFile(report.more.back(), FitsCsv(records));
  WriteFile(report.html, ReportHtml(records, sections, report.warning));
  return report;
}

}  // namespace crossover::bench

#include "bench/report/report.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/output_file.h"
#include "base/output_place.h"
#include "bench/crossover/crossover_run.h"
#include "bench/report/findings.h"
#include "bench/report/plot.h"
#include "bench/report/report_rows.h"
#include "bench/study/study.h"

namespace crossover::bench {
namespace {

/// Where threads vary, a model with so many of them is a model of its own: fits and curves are of
/// one machine at work.
std::vector<CellRecord> ApartByThreads(std::vector<CellRecord> records) {
  std::set<size_t> threads;
  for (const CellRecord& record : records) threads.insert(record.settings.threads);
  if (threads.size() < 2) return records;
  for (CellRecord& record : records) {
    record.model += fmt::format(" ({})", Counted(record.settings.threads, "thread"));
  }
  return records;
}

/// Names such as results.csv are anyone's: a file that was there is replaced only if it begins as
/// this program's do. Nor is one made at the end of a link that leads nowhere.
void WriteOwn(const std::filesystem::path& path, const std::string& text,
              std::string_view beginning) {
  const OutputPlace place = FindOutput(path);
  const bool is_new = place.kind == OutputPlace::Kind::kNothing && !place.through_link;
  const bool is_own = place.kind == OutputPlace::Kind::kFile &&
                      (place.status.st_size == 0 || ReadFile(path).starts_with(beginning));
  if (!is_new && !is_own) {
    throw Error(ErrorCode::kIo,
                fmt::format("{} is there, but no report wrote it: move it away", path.string()));
  }
  WriteFile(path, text);
}

/// The first columns, which all versions have in common.
std::string_view CsvBeginning(std::string_view text) {
  constexpr int kColumns = 4;
  size_t end = 0;
  for (int i = 0; i < kColumns && end != text.npos; ++i) end = text.find(',', end + 1);
  return text.substr(0, end);
}

void WriteCsv(const std::filesystem::path& path, const std::string& text) {
  WriteOwn(path, text, CsvBeginning(text));
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
    try {
      return Plot{.title = spec.title, .svg = DrawSvg(spec, fmt::format("plot{}", drawn++))};
    } catch (const Error& error) {
      ThrowIfInterrupted();
      report.warning = fmt::format("the plot \"{}\" is missing: {}", spec.title, error.what());
      return std::nullopt;
    }
  };
  const std::vector<Section> sections = MakeSections(records, draw);
  WriteCsv(report.csv, ReportCsv(records));
  if (const auto models = Crossovers(records); !models.empty()) {
    report.more.push_back(directory / "passes.csv");
    WriteCsv(report.more.back(), CrossoverCsv(models));
  }
  report.more.push_back(directory / "table.md");
  WriteOwn(report.more.back(), ReportMarkdown(records), kMarkdownBeginning);
  report.more.push_back(directory / "fits.csv");
  WriteCsv(report.more.back(), FitsCsv(records));
  WriteOwn(report.html, ReportHtml(records, sections, report.warning), kReportBeginning);
  return report;
}

}  // namespace crossover::bench

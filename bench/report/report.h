// A study's results for people: a table, CSV, and one self-contained HTML page.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/report_sections.h"
#include "bench/study/record.h"

namespace crossover::bench {

/// The aligned table: a row a cell, smallest model first, most bits first; failed cells at their
/// end with the reason.
std::string ReportTable(std::span<const CellRecord> records);

/// What the Markdown begins with: invisible where it is shown.
inline constexpr std::string_view kMarkdownBeginning = "<!-- crossover report -->\n\n";
/// The same table and its notes as Markdown, for a README.
std::string ReportMarkdown(std::span<const CellRecord> records);

/// One line a cell, numbers in full precision, empty where nothing was measured. Columns: those of
/// study_columns.h; task accuracies follow as "TASK METRIC" and "TASK METRIC stderr".
std::string ReportCsv(std::span<const CellRecord> records);

/// What every page of ReportHtml begins with.
inline constexpr std::string_view kReportBeginning =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Crossover: ";

/// Readable without JavaScript, on a phone and in grey.
std::string ReportHtml(std::span<const CellRecord> records, std::span<const Section> sections,
                       const std::string& plots_missing);

struct Report {
  std::filesystem::path html = {};
  std::filesystem::path csv = {};
  std::vector<std::filesystem::path> more = {};  // table.md, passes.csv, fits.csv
  std::string table = {};
  std::string findings = {};  // one paragraph
  std::string warning = {};   // why there are no plots; empty if there are
};

/// Reads DIRECTORY/results.jsonl, writes report.html and CSVs beside it. Error(kNotFound)
/// without results, Error(kCorruptFile) for broken ones, Error(kIo), also if a file of one of these
/// names is there that no report wrote.
Report MakeReport(const std::filesystem::path& directory);

}  // namespace crossover::bench

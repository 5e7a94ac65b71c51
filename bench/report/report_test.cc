#include "bench/report/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/report/plot.h"
#include "bench/report/report_rows.h"
#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

const Draw kNoPlots = [](const PlotSpec&) { return std::nullopt; };

/// Every element is closed in the order it was opened; void ones and comments aside.
bool WellFormed(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = html.substr(at + 1, end - at - 1);
    if (tag.empty() || tag[0] == '!' || tag.back() == '/') continue;
    const std::string name = tag.substr(0, tag.find_first_of(" \n\t"));
    if (name == "meta") continue;
    if (name[0] != '/') {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

std::vector<CellRecord> Records() {
  return InReportOrder({MakeRecord({.model = "large", .parameters = 4'000'000, .ppl = 33.25}),
                        MakeFailure("small", "Q2_K", "killed <by> signal 11"),
                        MakeRecord({.recipe = "Q4_0", .bpw = 4.5, .ppl = 61.75}),
                        MakeRecord({.recipe = "Q8_0", .ppl = 51.5, .decode = 123.4})});
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

TEST_CASE("rows: smallest model first, most bits first, failures apart") {
  const ReportRows rows = MakeReportRows(Records());
  REQUIRE(rows.rows.size() == 3);
  CHECK(rows.rows[0].cells[0] == "small");
  CHECK(rows.rows[0].cells[1] == "Q8_0");
  CHECK(rows.rows[1].cells[1] == "Q4_0");
  CHECK(rows.rows[2].cells[0] == "large");
  CHECK(rows.failures == std::vector<std::string>{"small/Q2_K: killed <by> signal 11"});
  for (const auto& row : rows.rows) CHECK(row.cells.size() == rows.columns.size());
}

TEST_CASE("the table shows the figures with their spread and how many items they rest on") {
  const std::string table = ReportTable(Records());
  CHECK(test::Contains(table, "51.50 ± 1.00"));
  CHECK(test::Contains(table, "123 (111–148)"));
  CHECK(test::Contains(table, "50 ± 5"));
  CHECK(test::Contains(table, "5100 tokens (20 chunks of 512)"));
  CHECK(test::Contains(table, "facts acc (100 items)"));
  CHECK(test::Contains(table, "FAILED small/Q2_K: killed <by> signal 11"));
}

TEST_CASE("what a model's file leaves unsaid stands once in every form of the table") {
  std::vector<CellRecord> records = Records();
  for (CellRecord& record : records) {
    if (record.ok() && record.model == "small") {
      record.measurement->warnings = {"has no pre-tokenizer"};
      record = nlohmann::json(record).get<CellRecord>();
    }
  }
  const std::string warning = "small: has no pre-tokenizer.";
  for (const std::string& text :
       {ReportTable(records), ReportMarkdown(records), ReportHtml(records, {}, "")}) {
    const size_t at = text.find(warning);
    REQUIRE(at != std::string::npos);
    CHECK(text.find(warning, at + 1) == std::string::npos);
  }
}

TEST_CASE(
    "a divergence has its columns, a quantised source its warning, in every form of the table") {
  std::vector<CellRecord> records = Records();
  const size_t before = ReportWarnings(records).size();  // of what was disturbed
  CHECK_FALSE(test::Contains(ReportTable(records), "KLD"));
  for (CellRecord& record : records) {
    if (!record.ok() || record.model != "small") continue;
    record.measurement->source = SourceRecord{"Q4_1", 5.74, true};
    record.measurement->perplexity->divergence = DivergenceRecord{0.01234, 0.00021, 0.905};
  }
  const std::vector<std::string> warnings = ReportWarnings(records);
  REQUIRE(warnings.size() == before + 1);
  CHECK(test::Contains(warnings.back(),
                       "small comes from a file that is quantised itself (mostly Q4_1"));
  const ReportRows rows = MakeReportRows(records);
  for (const auto& row : rows.rows) CHECK(row.cells.size() == rows.columns.size());
  const std::string table = ReportTable(records);
  const std::string markdown = ReportMarkdown(records);
  const std::string html = ReportHtml(records, {}, "");
  for (const std::string& text : {table, markdown, html}) {
    CHECK(test::Contains(text, warnings.back()));
    CHECK(test::Contains(text, "12.34 ± 0.21"));
    CHECK(test::Contains(text, "90.5"));
    CHECK(test::Contains(text, "n/a"));
  }
  CHECK(test::Contains(markdown, "| KLD ×1000 | same top % |"));
  CHECK(WellFormed(html));
}

TEST_CASE("CSV: the header, a line a cell, as many fields in each") {
  const auto lines = Lines(ReportCsv(Records()));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].find(
            "model,recipe,status,error,parameters,effective_bpw,file_bytes,perplexity,") == 0);
  CHECK(test::Contains(lines[0], ",facts acc,facts acc stderr,facts acc_norm,"));
  const auto fields = [](const std::string& line) {
    bool quoted = false;
    return 1 + std::count_if(line.begin(), line.end(), [&](char c) {
             if (c == '"') quoted = !quoted;
             return c == ',' && !quoted;
           });
  };
  for (const std::string& line : lines) CHECK(fields(line) == fields(lines[0]));
  CHECK(test::Contains(lines[1], "small,Q8_0,ok,,1000000,8.5,1062500,51.5,1,5100,"));
  CHECK(test::Contains(lines[3], "small,Q2_K,failed,killed <by> signal 11,,,"));
  CHECK(test::Contains(lines[1], "\"A CPU, <made> & \"\"quoted\"\"\""));
}

TEST_CASE("the page is well formed, escaped, and stands alone") {
  const std::string html =
      ReportHtml(Records(), MakeSections(Records(), kNoPlots), "gnuplot is not installed");
  CHECK(WellFormed(html));
  CHECK(test::Contains(html, "51.50 ± 1.00"));
  CHECK(test::Contains(html, "killed &lt;by&gt; signal 11"));
  CHECK(test::Contains(html, "A CPU, &lt;made&gt; &amp; &quot;quoted&quot;"));
  CHECK(test::Contains(html, "gnuplot is not installed"));
  CHECK(test::Contains(html, "<h2>1. At equal bytes"));
  CHECK_FALSE(test::Contains(html, "<script"));
  CHECK_FALSE(test::Contains(html, "href"));
  CHECK_FALSE(test::Contains(html, "src="));
}

TEST_CASE("a report is made from a results file") {
  const test::TemporaryDirectory directory;
  std::string lines;
  for (const CellRecord& record : Records()) lines += nlohmann::json(record).dump() + "\n";
  WriteFile(directory / "results.jsonl", lines + "{\"cell\": \"cut off by a cra");
  const Report report = MakeReport(directory.path());
  CHECK(WellFormed(ReadFile(report.html)));
  CHECK(Lines(ReadFile(report.csv)).size() == 5);
  CHECK(report.warning.empty() == HaveGnuplot());
  CHECK(test::Contains(ReadFile(report.html), "<svg") == HaveGnuplot());
}

TEST_CASE("files of others are not replaced by a report, where links lead to neither") {
  const test::TemporaryDirectory directory;
  std::string lines;
  for (const CellRecord& record : Records()) lines += nlohmann::json(record).dump() + "\n";
  WriteFile(directory / "results.jsonl", lines);
  for (const char* name : {"results.csv", "fits.csv", "report.html", "table.md"}) {
    WriteFile(directory / name, "model,mine\n");
    CHECK_THROWS_AS(MakeReport(directory.path()), Error);
    CHECK(ReadFile(directory / name) == "model,mine\n");
    std::filesystem::remove(directory / name);
    std::filesystem::create_symlink("none", directory / name);
    CHECK_THROWS_AS(MakeReport(directory.path()), Error);
    CHECK_FALSE(std::filesystem::exists(directory / "none"));
    std::filesystem::remove(directory / name);
  }
  MakeReport(directory.path());
  // Its own are, also at the end of a link.
  std::filesystem::rename(directory / "report.html", directory / "page.html");
  std::filesystem::create_symlink("page.html", directory / "report.html");
  MakeReport(directory.path());
  CHECK(std::filesystem::is_symlink(directory / "report.html"));
}

TEST_CASE("names out of a file do nothing in the page or in the CSV") {
  const test::TemporaryDirectory directory;
  const std::string name = "</title><script>alert('x')</script>\"onload=\"x\n=1+1";
  CellRecord record = MakeRecord({.model = name});
  record.study = name;
  record.machine.host = name;
  record.measurement->tasks[0].task = "=HYPERLINK(\"x\")";
  CellRecord failed = MakeFailure(name, "Q2_K", "=1+1\n<b>");
  WriteFile(directory / "results.jsonl",
            nlohmann::json(record).dump() + "\n" + nlohmann::json(failed).dump() + "\n");
  const Report report = MakeReport(directory.path());
  const std::string html = ReadFile(report.html);
  CHECK(WellFormed(html));
  CHECK_FALSE(test::Contains(html, "<script"));
  CHECK_FALSE(test::Contains(html, "\"onload"));
  CHECK(test::Contains(html, "x\\x0a=1+1"));
  const std::string markdown = ReadFile(directory / "table.md");
  CHECK(test::Contains(markdown, "&#60;script&#62;"));
  CHECK_FALSE(test::Contains(markdown, "<b>"));
  const std::string csv = ReadFile(report.csv);
  CHECK(test::Contains(csv, ",'=1+1\\x0a<b>"));
  CHECK(test::Contains(csv, ",\"'=HYPERLINK"));
}

TEST_CASE("cells of several builds are told") {
  std::vector<CellRecord> records{MakeRecord({}), MakeRecord({.recipe = "Q4_0"})};
  const auto told = [&] { return test::Contains(ReportTable(records), "several builds"); };
  CHECK_FALSE(told());
  records[1].version = "0.0.0 (build 1)";
  CHECK(told());
}

TEST_CASE("without results there is an error") {
  const test::TemporaryDirectory directory;
  CHECK_THROWS_AS(MakeReport(directory.path()), Error);
  WriteFile(directory / "results.jsonl", "");
  CHECK_THROWS_AS(MakeReport(directory.path()), Error);
}

TEST_CASE("plots: names by the lines, ids of their own") {
  if (!HaveGnuplot()) {
    test::Skip("gnuplot is not installed");
    return;
  }
  PlotSpec spec{.title = "it's a_title", .x_label = "x", .y_label = "y", .log_y = true};
  spec.series = {{"first_one", {{1, 10, 9, 11}, {2, 20, 18, 22}}}, {"other", {{1, 5, 5, 5}}}};
  const std::string svg = DrawSvg(spec, "one");
  CHECK(WellFormed(svg));
  CHECK(test::Contains(svg, "first_one"));
  CHECK(test::Contains(svg, "it&#39;s a_title"));
  CHECK_FALSE(test::Contains(svg, "gpPt"));
  CHECK(test::Contains(svg, "onePt"));
  spec.series.clear();
  CHECK_THROWS_AS(DrawSvg(spec, "none"), Error);
}

}  // namespace
}  // namespace crossover::bench

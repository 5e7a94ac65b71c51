#include "bench/report/report_sections.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "bench/report/bars.h"
#include "bench/report/report_rows.h"
#include "bench/study/study_table.h"
#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

/// A pass whose products take as long as the longer of both, half a pass.
CrossoverCell Pass(size_t tokens, double resident_s, double stream_s) {
  const double products = std::max(resident_s, stream_s);
  return {.tokens = tokens,
          .bytes = 1e6,
          .operations = 2e6 * static_cast<double>(tokens),
          .weights = 1e6,
          .kernel = tokens < 8 ? "thin" : "wide",
          .unit = "unit",
          .pass_s = {2 * products},
          .products_s = {products},
          .resident_s = {resident_s},
          .stream_s = {stream_s}};
}

/// Two models in two recipes, of which the bound changes at 2 tokens and at 8 tokens.
std::vector<CellRecord> Records() {
  std::vector<CellRecord> records;
  for (const char* recipe : {"Q8_0", "Q4_0"}) {
    for (const bool large : {false, true}) {
      CellRecord record = MakeRecord({.model = large ? "large" : "small",
                                      .recipe = recipe,
                                      .parameters = large ? 4'000'000u : 1'000'000u,
                                      .bpw = std::string(recipe) == "Q8_0" ? 8.5 : 4.5});
      const double stream = large ? 8 : 2;
      record.measurement->crossover =
          CrossoverModel{.model = record.cell,
                         .format = recipe,
                         .effective_bpw = record.measurement->effective_bpw,
                         .parameters = record.measurement->parameters,
                         .layers = 2,
                         .cells = {Pass(1, 1, stream), Pass(4, 4, stream), Pass(16, 16, stream)}};
      records.push_back(std::move(record));
    }
  }
  return InReportOrder(std::move(records));
}

/// Draws nothing and keeps what it was asked for.
struct Asked {
  std::vector<PlotSpec> specs = {};
  Draw draw = [this](const PlotSpec& spec) {
    specs.push_back(spec);
    return std::optional<Plot>();
  };
};

TEST_CASE("the crossover's section: map, shares, roofline, every pass") {
  Asked asked;
  const Section section = CrossoverSection(Records(), asked.draw);
  CHECK(test::Contains(section.paragraphs[0], "bound by communication in 4 of 4 cells"));
  // Which version says what, and what is against it: more of the larger model's pass in both
  // recipes is too little to refute anything.
  CHECK(test::Contains(section.claim.said, "v1 to v3"));
  CHECK(test::Contains(section.claim.refuted, "refutes neither"));
  REQUIRE(section.tables.size() == 2);
  const SectionTable& map = section.tables[0];
  REQUIRE(map.rows.size() == 2);
  CHECK(map.columns[1].title == "Q4_0");  // fewest bits first
  CHECK(map.rows[0] == std::vector<std::string>{"small", "2.00 (4.50)", "2.00 (8.50)"});
  CHECK(map.rows[1] == std::vector<std::string>{"large", "8.00 (4.50)", "8.00 (8.50)"});
  CHECK(map.shades[1][1] > map.shades[0][1]);
  CHECK(section.tables[1].rows.size() == 4 * 3);
  REQUIRE(section.plots.size() == 2);  // bars at 1 and at 16 tokens
  CHECK(test::Contains(section.plots[0].title, "1 token goes, Q4_0"));
  CHECK(test::Contains(section.plots[0].svg, "50 %"));
  REQUIRE(asked.specs.size() == 1);
  const PlotSpec& roofline = asked.specs[0];
  REQUIRE(roofline.series.size() == 3);  // two kernels and the limit
  CHECK(roofline.series[0].points.size() + roofline.series[1].points.size() == 12);
  // 20 GB/s at 2 operations a byte, then 100 Gop/s.
  CHECK(roofline.series[2].points.front().y == doctest::Approx(40));
  CHECK(roofline.series[2].points.back().y == doctest::Approx(100));
}

TEST_CASE("without the metric its sections say so") {
  Asked asked;
  const std::vector<CellRecord> records{MakeRecord({})};
  CHECK(test::Contains(CrossoverSection(records, asked.draw).paragraphs.back(), "n/a"));
  CHECK(test::Contains(PredictionSection(records, asked.draw).paragraphs.front(), "n/a"));
  CHECK(asked.specs.empty());
}

TEST_CASE("without quality its section says so, and names the way to it") {
  Asked asked;
  std::vector<CellRecord> records{MakeRecord({})};
  records[0].measurement->perplexity.reset();
  records[0].measurement->tasks.clear();
  const Section section = QualitySection(records, asked.draw);
  REQUIRE(section.paragraphs.size() == 1);
  CHECK(test::Contains(section.paragraphs[0], "--model NAME=FILE"));
}

TEST_CASE("predictions: every pass is in the table with the errors of the fit") {
  Asked asked;
  const Section section = PredictionSection(Records(), asked.draw);
  REQUIRE(section.tables.size() == 2);
  CHECK(section.tables[0].rows.size() >= 2);
  CHECK(section.tables[1].rows.size() == 12);
  CHECK(asked.specs.size() == 1);
}

TEST_CASE("costs: a fit with its band for each model, in the picture and in the table") {
  Asked asked;
  std::vector<CellRecord> records;
  for (const double bits : {2.0, 4.0, 6.0, 8.0}) {
    records.push_back(MakeRecord(
        {.recipe = fmt::format("B{}", bits), .bpw = bits, .decode = 1 / (0.001 + 0.002 * bits)}));
  }
  const Section section = CostSection(InReportOrder(records), asked.draw);
  REQUIRE_FALSE(section.tables.empty());
  const auto& decode = section.tables[0].rows[0];
  CHECK(decode[1] == "Decode time a token");
  CHECK(decode[3] == "1.00");  // ms at 0 bits
  CHECK(test::Contains(decode[4], "2.00 ± "));
  CHECK(decode[5] == "1.0000");
  REQUIRE_FALSE(asked.specs.empty());
  CHECK_FALSE(asked.specs[0].series[0].fit.empty());
  CHECK(test::Contains(FitsCsv(records), "small,Decode time a token,ms,"));
}

TEST_CASE("bars: parts as wide as their shares, their names escaped") {
  const std::string svg =
      DrawBars({.title = "<t>", .parts = {"a & b", "c"}, .bars = {{"m", {0.25, 0.75}}}}, "x");
  CHECK(test::Contains(svg, "<title>&lt;t&gt;</title>"));
  CHECK(test::Contains(svg, "a &amp; b"));
  CHECK(test::Contains(svg, ">25 %<"));
  CHECK(test::Contains(svg, ">75 %<"));
  CHECK(test::Contains(svg, "url(#xPart1)"));
}

TEST_CASE("a running study's row") {
  CHECK(StudyRow(MakeFailure("small", "Q2_K", "no memory")) == "FAILED no memory");
  const std::string row = StudyRow(Records().back());
  for (const char* part : {"4.50", "1000", "100", "50.0000", "8.00 tokens"})
    CHECK(test::Contains(row, part));
  CHECK(test::Contains(StudyRow(MakeRecord({})), " - "));
}

}  // namespace
}  // namespace crossover::bench

// What becomes of disturbed cells: marks, the box, and claims and fits that leave them out.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/predict/time_model.h"
#include "bench/report/findings.h"
#include "bench/report/report.h"
#include "bench/report/report_rows.h"
#include "bench/study/study_columns.h"
#include "bench/study/study_table.h"
#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

const Draw kNoPlots = [](const PlotSpec&) { return std::nullopt; };

Conditions Made(double run_wait) {
  return {.asked = 3,
          .repetitions =
              std::vector<Disturbance>(3, {.wall_s = 1, .run_wait = run_wait, .others = 0.0})};
}
Conditions Quiet() { return Made(0); }
Conditions Busy() { return Made(0.4); }

/// Cells of one model at these bits; of those with `busy` set decoding was disturbed, and slow.
std::vector<CellRecord> Cells(const std::vector<double>& bits, const std::vector<bool>& busy) {
  std::vector<CellRecord> records;
  for (size_t i = 0; i < bits.size(); ++i) {
    records.push_back(MakeRecord({.recipe = fmt::format("B{}", bits[i]),
                                  .bpw = bits[i],
                                  .decode = (busy[i] ? 1 : 100) / bits[i]}));
    ModelBenchResult& speed = *records.back().measurement->speed;
    speed.prefill.conditions = Quiet();
    speed.decode.conditions = busy[i] ? Busy() : Quiet();
  }
  return records;
}

TEST_CASE("disturbed cells are left out of lines, and counted") {
  const auto records = Cells({2, 4, 6, 8, 16}, {false, true, false, false, false});
  const auto points = Points(records);
  const auto fits = FitAgainstBits(points, Quantity::kDecodeSeconds);
  REQUIRE(fits.size() == 1);
  CHECK(fits[0].fit.points == 4);
  CHECK(fits[0].fit.r_squared == doctest::Approx(1));
  CHECK(LeftOut(points, Quantity::kDecodeSeconds) == 1);
  CHECK(LeftOut(points, Quantity::kPrefillSeconds) == 0);
  CHECK(FitAgainstBits(points, Quantity::kFileBytes)[0].fit.points == 5);  // is no time
  const std::string text = LinearityText(points);
  CHECK(test::Contains(text, "(left out as disturbed: 1). Prefill time"));
  CHECK(BandwidthShares(points)[0].above_one == 0);
  CHECK(test::Contains(BandwidthText(points, 0), "Cells left out as disturbed: 1."));
}

TEST_CASE("too few undisturbed cells are said, not fitted") {
  const auto points = Points(Cells({2, 4, 8}, {true, true, true}));
  CHECK(FitAgainstBits(points, Quantity::kDecodeSeconds).empty());
  CHECK(test::Contains(LinearityText(points),
                       "Decode time a token cannot be fitted (fewer than three undisturbed cells a "
                       "model; left out as disturbed: 3)"));
  CHECK(test::Contains(BandwidthText(points, 0), "cannot be said: 3 cells"));
}

TEST_CASE("a share of a limit that was disturbed is marked and not claimed") {
  auto records = Cells({4, 8}, {false, false});
  for (CellRecord& record : records) record.machine.limits.disturbed = "other processes up to 9 %";
  CHECK(BandwidthShares(Points(records)).empty());
  CHECK(test::Contains(DisturbedText(records), "limits were disturbed when 2 cells"));
  CHECK(test::Contains(ReportTable(records), "%!"));
  const nlohmann::json json = records[0];
  CHECK(json.get<CellRecord>().machine.limits.disturbed == records[0].machine.limits.disturbed);
}

TEST_CASE("the paragraph, the table, the page and the CSV say what was disturbed, and by what") {
  const auto records = InReportOrder(Cells({2, 4, 8}, {true, false, false}));
  const std::string text = "1 of 3 cells were disturbed (waiting for a CPU up to 40 %)";
  CHECK(test::Contains(FindingsParagraph(records), "The machine was not quiet: " + text));
  const std::string table = ReportTable(records);
  CHECK(test::Contains(table, text));
  CHECK(test::Contains(table, "0.500! (0.450–0.600)"));
  CHECK(test::Contains(table, "25.0 (22.5–30.0)"));
  const std::string html = ReportHtml(records, MakeSections(records, kNoPlots), "");
  CHECK(test::Contains(html, "<p class=\"warning\">The machine was not quiet: " + text));
  CHECK(html.find("class=\"warning\"") < html.find("<h2>"));
  CHECK(test::Contains(StudyRow(records.back()), "!"));
  size_t place = 0;
  const auto columns = StudyColumns();
  while (columns.at(place).name != "decode_run_wait") ++place;
  CHECK(columns[place].get(records.back()) == "0.4");
  CHECK(columns[place].get(records.front()) == "0");
  CHECK(columns[place].unit == "share");
  while (columns.at(place).name != "decode_disturbed") --place;
  CHECK(columns[place].get(records.back()) == "1");
}

TEST_CASE("quiet cells need no words, and old ones say that nothing is known") {
  CHECK(DisturbedText(Cells({4, 8}, {false, false})).empty());
  const std::vector<CellRecord> old{MakeRecord({})};
  CHECK(DisturbedText(old) == "What else ran is unknown for 1 of 1 cells.");
  // As a program wrote them that did not know of conditions.
  nlohmann::json json = Cells({4}, {true})[0];
  json.at("measurement").at("decode").erase("conditions");
  json.at("measurement").at("decode").erase("disturbed");
  json.at("machine").at("limits").erase("disturbed");
  const auto read = json.get<CellRecord>();
  CHECK_FALSE(read.measurement->speed->decode.conditions.known());
  CHECK(read.measurement->speed->prefill.conditions.known());
}

TEST_CASE("conditions survive a record's way through JSON") {
  const nlohmann::json first = Cells({4}, {true})[0];
  CHECK(nlohmann::json(first.get<CellRecord>()) == first);
}

CrossoverModel MadeCrossover() {
  CrossoverModel model{.model = "m", .format = "Q8_0", .parameters = 1000, .layers = 2};
  for (const size_t tokens : {1, 2, 4, 8, 16, 32}) {
    CrossoverCell cell{.tokens = tokens, .bytes = 1e6, .weights = 1e6, .unit = "f32_fma"};
    cell.operations = 2e6 * static_cast<double>(tokens);
    const double b = 1e-4 * static_cast<double>(tokens);
    const double c = 4e-4;
    cell.resident_s = {b, b, b};
    cell.stream_s = {c, c, c};
    cell.products_s = cell.pass_s = std::vector<double>(3, std::max(b, c));
    cell.conditions = Quiet();
    model.cells.push_back(cell);
  }
  return model;
}

TEST_CASE("the crossover and the fit of passes leave disturbed passes out") {
  CrossoverModel model = MadeCrossover();
  const auto change = model.tokens_at_change();
  const auto fits = FitTimeModels({&model, 1});
  REQUIRE(fits.size() == 3);
  CHECK(fits.front().left_out == 0);
  // Beside a compiler: computation looks ten times as slow.
  CrossoverCell& cell = model.cells[1];
  for (auto* samples : {&cell.resident_s, &cell.products_s, &cell.pass_s}) {
    for (double& seconds : *samples) seconds *= 10;
  }
  CHECK(*model.tokens_at_change() < *change / 1.5);
  CHECK(FitTimeModels({&model, 1}).front().worst_error > 2 * fits.front().worst_error + 0.1);
  cell.conditions = Busy();
  CHECK(*model.tokens_at_change() == doctest::Approx(*change));
  const auto quiet = FitTimeModels({&model, 1});
  CHECK(quiet.front().left_out == 1);
  CHECK(quiet.front().errors.size() == 5);
  CHECK(quiet.front().worst_error <= fits.front().worst_error + 1e-3);
  CHECK(test::Contains(TimeModelText(quiet), "passes left out as disturbed: 1"));
  CHECK(test::Contains(CrossoverText({&model, 1}), "Passes left out as disturbed: 1."));
  const nlohmann::json json = model;
  CHECK(nlohmann::json(json.get<CrossoverModel>()) == json);
  for (CrossoverCell& each : model.cells) each.conditions = Busy();
  CHECK(FitTimeModels({&model, 1}).empty());
  CHECK_FALSE(model.tokens_at_change());
  CHECK(test::Contains(CrossoverText({&model, 1}),
                       "cannot be said. Passes left out as disturbed: 6."));
}

TEST_CASE("a cell's figures are of the undisturbed repetitions") {
  CrossoverCell cell = MadeCrossover().cells[0];
  cell.pass_s = {1, 9, 2};
  cell.conditions.repetitions[1].run_wait = 0.5;
  CHECK(cell.pass().max == 2);
  CHECK(nlohmann::json(cell).at("pass_s").at("max") == 2);
  CHECK(nlohmann::json(cell).at("pass_s").at("samples").size() == 3);
}

}  // namespace
}  // namespace crossover::bench

// How well a few numbers of the machine predict every measured pass.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/predict/time_model.h"
#include "bench/report/report_sections.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

double Predicted(const TimeModel& fit, const CrossoverModel& model, const CrossoverCell& cell) {
  return fit.Seconds(WorkOfCell(model, cell), cell.unit);
}

/// With its sign: above 0 the pass was faster than predicted.
std::string ErrorText(double predicted, double measured) {
  const double error = predicted / measured - 1;
  return fmt::format("{}{}", error < 0 ? "-" : "+", Percent(std::abs(error)));
}

SectionTable FitsTable(const std::vector<TimeModelFit>& fits) {
  SectionTable table{.caption = "Fits to all passes: what is left free, and how far they are off",
                     .columns = {{"form", true},
                                 {"numbers"},
                                 {"rule", true},
                                 {"bandwidth, GB/s"},
                                 {"rates, Gop/s", true},
                                 {"fixed a layer, µs"},
                                 {"median error"},
                                 {"worst error"}}};
  for (const TimeModelFit& fit : fits) {
    std::string rates;
    for (const UnitRate& rate : fit.model.rates) {
      rates +=
          fmt::format("{}{}{}", rates.empty() ? "" : ", ", rate.unit.empty() ? "" : rate.unit + " ",
                      Significant(rate.operations_s / 1e9));
    }
    table.rows.push_back(
        {fit.name, std::to_string(fit.parameters), fit.model.overlapped ? "the longer" : "the sum",
         Significant(fit.model.read_bytes_s / 1e9), rates, Significant(fit.model.layer_s * 1e6),
         Percent(fit.median_error), Percent(fit.worst_error)});
  }
  return table;
}

SectionTable CellsTable(const std::vector<CrossoverModel>& models, const TimeModelFit& plain,
                        const TimeModelFit& fine) {
  SectionTable table{.caption = "Every pass as predicted, ms",
                     .columns = {{"cell", true},
                                 {"tokens"},
                                 {"measured"},
                                 {plain.name},
                                 {"off by"},
                                 {fine.name},
                                 {"off by"}}};
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) {
      const double measured = cell.pass().median;
      if (fine.model.RateOf(cell.unit) == nullptr) continue;  // all of its unit's were disturbed
      const double a = Predicted(plain.model, model, cell);
      const double b = Predicted(fine.model, model, cell);
      table.rows.push_back({model.model, std::to_string(cell.tokens),
                            Significant(measured * 1e3) + Mark(cell.conditions),
                            Significant(a * 1e3), ErrorText(a, measured), Significant(b * 1e3),
                            ErrorText(b, measured)});
    }
  }
  return table;
}

PlotSpec PredictedPlot(const std::vector<CrossoverModel>& models, const TimeModelFit& fit) {
  PlotSpec spec{.title = fmt::format("Predicted against measured time of each pass ({}); the line "
                                     "is where both agree",
                                     fit.name),
                .x_label = "measured, ms",
                .y_label = "predicted, ms",
                .log_y = true,
                .log_x = true};
  double low = HUGE_VAL;
  double high = 0;
  for (const CrossoverModel& model : models) {
    const std::string name = model.model.substr(0, model.model.find('/'));
    if (spec.series.empty() || spec.series.back().name != name) {
      spec.series.push_back({.name = name, .connected = false});
    }
    for (const CrossoverCell& cell : model.cells) {
      const double x = cell.pass().median * 1e3;
      const double y = Predicted(fit.model, model, cell) * 1e3;
      spec.series.back().points.push_back({x, y, y, y});
      low = std::min({low, x, y});
      high = std::max({high, x, y});
    }
  }
  spec.series.push_back({.name = "equal",
                         .points = {{low, low, low, low}, {high, high, high, high}},
                         .markers = false});
  return spec;
}

}  // namespace

Section PredictionSection(std::span<const CellRecord> records, const Draw& draw) {
  Section section{.heading = "A few numbers of the machine predict every pass"};
  const std::vector<CrossoverModel> models = Crossovers(records);
  const std::vector<TimeModelFit> fits = FitTimeModels(models);
  if (fits.empty()) {
    size_t left_out = 0;
    Undisturbed(models, &left_out);
    section.paragraphs.push_back(
        left_out == 0
            ? "n/a: fewer than four passes were measured for the crossover."
            : fmt::format("n/a: fewer than four passes were measured undisturbed; left out "
                          "as disturbed: {}.",
                          left_out));
    return section;
  }
  const TimeModelFit& plain = fits.front();
  const TimeModelFit& fine = fits.back();
  section.paragraphs.push_back(fmt::format(
      "Bytes over a bandwidth against operations over a rate, and a fixed time a layer: over {} "
      "passes the plainest form is off by {} in the median and {} at worst; the finest by {} and "
      "{}. The same numbers that are predicted were fitted, so this is how well the form "
      "describes this machine, not a forecast of another.",
      plain.errors.size(), Percent(plain.median_error), Percent(plain.worst_error),
      Percent(fine.median_error), Percent(fine.worst_error)));
  if (plain.left_out > 0) {
    section.paragraphs.push_back(fmt::format(
        "Passes left out of the fits, their errors and the plot as disturbed (marked !): {}.",
        plain.left_out));
  }
  if (auto plot = draw(PredictedPlot(Undisturbed(models), plain)))
    section.plots.push_back(std::move(*plot));
  section.tables = {FitsTable(fits), CellsTable(models, plain, fine)};
  return section;
}

}  // namespace crossover::bench

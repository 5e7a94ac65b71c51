// A check of predictions for people, spreadsheets, programs, and as a picture.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/table.h"
#include "bench/predict/check.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

bool Assumed(const CheckedSpeed& s) { return !s.speed.note.empty() || s.speed.file_estimated; }

std::string Why(const CheckedSpeed& s) {
  std::string why = s.control.empty() ? s.speed.note : s.control;
  if (s.speed.file_estimated) {
    why += fmt::format("{}size of the file estimated", why.empty() ? "" : "; ");
  }
  return why;
}

std::string SpeedRows(const SpeedCheck& check) {
  Table table({{"row"},
               {"machine", Table::Align::kLeft},
               {"engine", Table::Align::kLeft},
               {"model", Table::Align::kLeft},
               {"format", Table::Align::kLeft},
               {"test", Table::Align::kLeft},
               {"rate", Table::Align::kLeft},
               {"published"},
               {"predicted"},
               {"8 of 10", Table::Align::kLeft},
               {"error"},
               {"bound", Table::Align::kLeft}});
  for (const CheckedSpeed& s : check.speeds) {
    if (!s.predicted_tok_s) continue;
    table.AddRow({fmt::format("{}{}", s.speed.row, Assumed(s) ? "*" : ""), s.speed.machine,
                  s.speed.engine, s.speed.model, s.speed.format, SpeedTestName(s.test),
                  std::string(RateKindName(s.rate_kind)), Significant(s.tok_s),
                  Significant(*s.predicted_tok_s), IntervalText(s.low_tok_s, s.high_tok_s),
                  Percent(s.error()), s.bound});
  }
  return table.Text();
}

std::string Worst(const SpeedCheck& check) {
  constexpr size_t kShown = 8;
  std::vector<const CheckedSpeed*> worst;
  for (const CheckedSpeed& s : check.speeds) {
    if (s.predicted_tok_s) worst.push_back(&s);
  }
  std::ranges::sort(worst, std::ranges::greater{}, [](const auto* s) { return s->error(); });
  if (worst.size() > kShown) worst.resize(kShown);
  std::string text;
  for (const CheckedSpeed* s : worst) {
    text +=
        fmt::format("  row {}: {} of {} {} {} by {}: {} predicted, {} published{}\n", s->speed.row,
                    SpeedTestName(s->test), s->speed.machine, s->speed.model, s->speed.format,
                    s->speed.engine, Significant(*s->predicted_tok_s), Significant(s->tok_s),
                    Why(*s).empty() ? "" : fmt::format(" ({})", Why(*s)));
  }
  return text;
}

/// What is not predicted, by reason.
std::string LeftOut(const SpeedCheck& check) {
  std::map<std::string, std::string> rows;
  for (const CheckedSpeed& s : check.speeds) {
    if (s.predicted_tok_s) continue;
    std::string& list = rows[s.why_not];
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", s.speed.row, SpeedTestName(s.test));
  }
  std::string text;
  for (const auto& [reason, list] : rows) text += fmt::format("  {}: {}\n", reason, list);
  return text;
}

std::string Summaries(const SpeedCheck& check) {
  Table table({{"test", Table::Align::kLeft},
               {"read rate", Table::Align::kLeft},
               {"speeds"},
               {"median error"},
               {"90 % below"},
               {"worst"},
               {"in their 8 of 10"}});
  for (const CheckSummary& s : check.summaries) {
    table.AddRow({SpeedTestName(s.test),
                  s.test == SpeedTest::kPrefill ? "–" : std::string(RateKindName(s.rate_kind)),
                  fmt::format("{}", s.rows), Percent(s.median_error), Percent(s.p90_error),
                  Percent(s.worst_error),
                  s.with_interval == 0
                      ? "n/a"
                      : fmt::format("{} of {} ({})", s.inside, s.with_interval,
                                    Percent(static_cast<double>(s.inside) /
                                            static_cast<double>(s.with_interval)))});
  }
  return table.Text();
}

std::string ProfileText(const EngineProfile& profile) {
  std::string text = fmt::format(
      "  time = (reading^{0} + unpacking^{0})^(1/{0}) + {1:.0f} cycles a layer; reading at {2:.2f} "
      "of a\n  measured or derived rate, {3:.2f} of a nominal one\n",
      profile.overlap, profile.layer_cycles, profile.share, profile.nominal_share);
  std::string engine;
  for (const auto& [key, cycles] : profile.unpack) {
    if (key.first != engine) {
      engine = key.first;
      text += fmt::format("{}  {}, cycles of 512 bits a weight:", text.ends_with('\n') ? "" : "\n",
                          engine);
    }
    text += fmt::format(" {} {:.3f}", key.second, cycles);
  }
  return text + "\n";
}

nlohmann::json Cycles(const std::map<std::pair<std::string, std::string>, double>& cycles) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [key, value] : cycles) json[key.first][key.second] = value;
  return json;
}

}  // namespace

std::string IntervalText(double low, double high) {
  if (!std::isfinite(high)) return "n/a";
  return fmt::format("{} to {}", Significant(low), Significant(high));
}

std::string CheckTable(const SpeedCheck& check) {
  return fmt::format(
      "{}\ntok/s. Each machine is predicted by a profile fitted to the others. *: conditions that "
      "the source\ndoes not state were assumed (--json says which). rate: of the machine's memory, "
      "as published\n(measured, nominal) or derived from its largest file. 8 of 10: of each row by "
      "the rows of other "
      "machines, or where\nthese are too few by all other rows; the last column says how many "
      "published speeds lay inside.\n\n{}\nFitted to all "
      "machines:\n{}\nFarthest off:\n{}\nNot predicted (row and test):\n{}",
      SpeedRows(check), Summaries(check), ProfileText(check.profile), Worst(check), LeftOut(check));
}

std::string CheckCsv(const SpeedCheck& check) {
  std::string csv =
      "row,machine,engine,model,format,test,rate,published_tok_s,predicted_tok_s,low_tok_s,"
      "high_tok_s,error,bound,source,note,not_predicted\n";
  for (const CheckedSpeed& s : check.speeds) {
    csv += fmt::format("{},{},{},{},{},{},{},{}", s.speed.row, CsvField(s.speed.machine),
                       CsvField(s.speed.engine), CsvField(s.speed.model), CsvField(s.speed.format),
                       SpeedTestName(s.test), RateKindName(s.rate_kind), s.tok_s);
    if (s.predicted_tok_s) {
      csv += fmt::format(",{:.6g},{:.6g},{:.6g},{:.4g},{}", *s.predicted_tok_s, s.low_tok_s,
                         s.high_tok_s, s.error(), s.bound);
    } else {
      csv += ",,,,,";
    }
    csv +=
        fmt::format(",{},{},{}\n", CsvField(s.speed.source), CsvField(Why(s)), CsvField(s.why_not));
  }
  return csv;
}

nlohmann::json CheckJson(const SpeedCheck& check) {
  nlohmann::json rows = nlohmann::json::array();
  for (const CheckedSpeed& s : check.speeds) {
    nlohmann::json row{{"row", s.speed.row},
                       {"machine", s.speed.machine},
                       {"engine", s.speed.engine},
                       {"model", s.speed.model},
                       {"format", s.speed.format},
                       {"test", SpeedTestName(s.test)},
                       {"rate", RateKindName(s.rate_kind)},
                       {"published_tok_s", s.tok_s},
                       {"predicted_tok_s", nullptr},
                       {"source", s.speed.source}};
    if (Assumed(s)) row["note"] = Why(s);
    if (!s.control.empty()) row["control"] = s.control;
    if (s.predicted_tok_s) {
      row["predicted_tok_s"] = *s.predicted_tok_s;
      row["low_tok_s"] = s.low_tok_s;
      row["high_tok_s"] = s.high_tok_s;
      row["error"] = s.error();
      row["bound"] = s.bound;
    } else {
      row["not_predicted"] = s.why_not;
    }
    rows.push_back(std::move(row));
  }
  nlohmann::json summaries = nlohmann::json::array();
  for (const CheckSummary& s : check.summaries) {
    summaries.push_back({{"test", SpeedTestName(s.test)},
                         {"rate", RateKindName(s.rate_kind)},
                         {"speeds", s.rows},
                         {"median_error", s.median_error},
                         {"p90_error", s.p90_error},
                         {"worst_error", s.worst_error},
                         {"with_interval", s.with_interval},
                         {"inside", s.inside}});
  }
  const EngineProfile& profile = check.profile;
  return {{"speeds", rows},
          {"summaries", summaries},
          {"profile",
           {{"share", profile.share},
            {"nominal_share", profile.nominal_share},
            {"overlap", profile.overlap},
            {"layer_cycles", profile.layer_cycles},
            {"unpack_cycles", Cycles(profile.unpack)},
            {"multiply_cycles", Cycles(profile.multiply)}}}};
}

PlotSpec CheckPlot(const SpeedCheck& check) {
  PlotSpec spec{.title = "Decoding: predicted by other machines against published",
                .x_label = "published, tokens/s",
                .y_label = "predicted, tokens/s",
                .log_y = true,
                .log_x = true};
  double least = HUGE_VAL, most = 0;
  for (const RateKind kind : {RateKind::kMeasured, RateKind::kDerived, RateKind::kNominal}) {
    PlotSeries series{.name = std::string(RateKindName(kind)), .connected = false};
    for (const CheckedSpeed& s : check.speeds) {
      if (!s.predicted_tok_s || s.test != SpeedTest::kDecode || s.rate_kind != kind) continue;
      const double y = *s.predicted_tok_s;
      series.points.push_back({s.tok_s, y, y, y});
      least = std::min({least, s.tok_s, y});
      most = std::max({most, s.tok_s, y});
    }
    std::ranges::sort(series.points, {}, &PlotPoint::x);
    if (!series.points.empty()) spec.series.push_back(std::move(series));
  }
  spec.series.push_back({.name = "equal",
                         .points = {{least, least, least, least}, {most, most, most, most}},
                         .markers = false});
  return spec;
}

}  // namespace crossover::bench

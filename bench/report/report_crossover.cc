// The third claim, communication against computation, and how well few numbers predict it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/counted.h"
#include "bench/report/bars.h"
#include "bench/report/findings.h"
#include "bench/report/report_sections.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

const CrossoverCell* CellOf(const CrossoverModel& model, size_t tokens) {
  for (const CrossoverCell& cell : model.cells) {
    if (cell.tokens == tokens) return &cell;
  }
  return nullptr;
}

bool HasCrossover(const CellRecord& record) { return record.ok() && record.measurement->crossover; }

/// The one that most models were measured in; of several, the one nearest to four bits, which
/// people run.
std::string BarRecipe(std::span<const CellRecord> records) {
  struct Seen {
    std::set<std::string> models;
    double distance = 0;
  };
  std::map<std::string, Seen> recipes;
  for (const CellRecord& record : records) {
    if (!HasCrossover(record)) continue;
    Seen& seen = recipes[record.recipe];
    seen.models.insert(record.model);
    seen.distance = std::abs(record.measurement->effective_bpw - 4.5);
  }
  const auto best = std::max_element(recipes.begin(), recipes.end(), [](auto& a, auto& b) {
    const auto rank = [](const Seen& seen) {
      return std::pair(static_cast<double>(seen.models.size()), -seen.distance);
    };
    return rank(a.second) < rank(b.second);
  });
  return best == recipes.end() ? "" : best->first;
}

/// Bars of all models in one recipe, at a number of tokens a pass.
BarSpec Shares(std::span<const CellRecord> records, const std::string& recipe, size_t tokens) {
  BarSpec spec{.title = fmt::format("Where the time of a pass of {} token{} goes, {}", tokens,
                                    tokens == 1 ? "" : "s", recipe),
               .parts = {"communication: reading weights", "computation beyond it",
                         "waiting: neither", "other: attention, norms, barriers"}};
  for (const CellRecord& record : records) {
    if (!HasCrossover(record) || record.recipe != recipe) continue;
    const CrossoverCell* cell = CellOf(*record.measurement->crossover, tokens);
    if (cell == nullptr || cell->conditions.disturbed()) continue;
    const CrossoverCell::Shares s = cell->shares();
    spec.bars.push_back({record.model, {s.communication, s.computation, s.waiting, s.other}});
  }
  return spec;
}

/// All passes, by the kernel that ran them, under the machine's limits.
PlotSpec Roofline(std::span<const CellRecord> records) {
  PlotSpec spec{.title = "Roofline: every measured pass by its kernel, under the machine's limits",
                .x_label = "operations a byte of weights",
                .y_label = "matrix products, Gop/s",
                .log_y = true,
                .log_x = true};
  std::map<std::string, PlotSeries> kernels;
  double low = HUGE_VAL;
  double high = 0;
  const Limits* limits = nullptr;
  for (const CellRecord& record : records) {
    if (!HasCrossover(record)) continue;
    if (limits == nullptr) limits = &record.machine.limits;
    for (const CrossoverCell& cell : record.measurement->crossover->cells) {
      const double seconds = cell.products().median;
      if (cell.bytes <= 0 || seconds <= 0 || cell.conditions.disturbed()) continue;
      const double x = cell.operations / cell.bytes;
      const double y = cell.operations / seconds / 1e9;
      kernels[cell.kernel].points.push_back({x, y, y, y});
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  for (auto& [name, series] : kernels) {
    series.name = name;
    series.connected = false;
    std::sort(series.points.begin(), series.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
    spec.series.push_back(std::move(series));
  }
  if (limits == nullptr || !limits->read_bytes_s || !limits->flops_s || spec.series.empty()) {
    return spec;
  }
  const double knee = *limits->flops_s / *limits->read_bytes_s;
  const auto roof = [&](double x) {
    return std::min(*limits->read_bytes_s * x, *limits->flops_s) / 1e9;
  };
  PlotSeries limit{.name = "limit, " + limits->flops_unit, .markers = false};
  for (const double x : {low, std::clamp(knee, low, high), high}) {
    limit.points.push_back({x, roof(x), roof(x), roof(x)});
  }
  spec.series.push_back(std::move(limit));
  return spec;
}

/// "12", "> 128" where communication bounds all passes, "< 1" where it bounds none, "n/a" where
/// none was undisturbed.
std::string ChangeText(const CrossoverModel& model) {
  if (const auto tokens = model.tokens_at_change()) return Significant(*tokens);
  if (model.cells.empty()) return "n/a";
  return model.cells.front().bound_by_communication()
             ? fmt::format("> {}", model.cells.back().tokens)
             : fmt::format("< {}", model.cells.front().tokens);
}

/// 0 where the bound changes at one token or below, 1 at 64 and above.
double ChangeShade(const CrossoverModel& model) {
  constexpr double kDarkest = 64;
  double tokens = 1;
  if (const auto change = model.tokens_at_change()) {
    tokens = *change;
  } else if (!model.cells.empty() && model.cells.front().bound_by_communication()) {
    tokens = kDarkest;
  }
  return std::clamp(std::log(tokens) / std::log(kDarkest), 0.0, 1.0);
}

/// Models by recipes.
SectionTable Map(std::span<const CellRecord> records) {
  SectionTable table{.caption =
                         "The crossover's place: tokens a pass from which on computation "
                         "bounds it (the darker, the longer communication does), with the "
                         "cell's bits per weight",
                     .columns = {{"model", true}}};
  std::map<std::string, double> recipes;  // by name, with the fewest bits seen
  std::vector<std::string> models;
  for (const CellRecord& record : records) {
    if (!HasCrossover(record)) continue;
    const double bits = record.measurement->effective_bpw;
    const auto [it, added] = recipes.emplace(record.recipe, bits);
    it->second = std::min(it->second, bits);
    if (models.empty() || models.back() != record.model) models.push_back(record.model);
  }
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [name, bits] : recipes) order.emplace_back(bits, name);
  std::sort(order.begin(), order.end());
  for (const auto& [bits, name] : order) table.columns.push_back({name});
  for (const std::string& model : models) {
    std::vector<std::string> row{model};
    std::vector<double> shades{0};
    for (const auto& [bits, recipe] : order) {
      row.emplace_back("n/a");
      shades.push_back(0);
      for (const CellRecord& record : records) {
        if (!HasCrossover(record) || record.model != model || record.recipe != recipe) continue;
        const CrossoverModel crossover = record.measurement->crossover->Undisturbed();
        row.back() =
            fmt::format("{} ({:.2f})", ChangeText(crossover), record.measurement->effective_bpw);
        shades.back() = ChangeShade(crossover);
      }
    }
    table.rows.push_back(std::move(row));
    table.shades.push_back(std::move(shades));
  }
  return table;
}

SectionTable Passes(std::span<const CrossoverModel> models) {
  SectionTable table{.caption =
                         "Every pass: (a) the products as they run, (b) with weights in the "
                         "nearest cache, (c) the bytes alone; medians in ms; !: disturbed",
                     .columns = {{"cell", true},
                                 {"tokens"},
                                 {"pass"},
                                 {"(a)"},
                                 {"(b)"},
                                 {"(c)"},
                                 {"(c)/(b)"},
                                 {"communication"},
                                 {"computation"},
                                 {"waiting"},
                                 {"other"},
                                 {"op a byte"},
                                 {"Gop/s"},
                                 {"kernel", true}}};
  const auto ms = [](const Summary& summary) { return Significant(summary.median * 1e3); };
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) {
      const CrossoverCell::Shares s = cell.shares();
      table.rows.push_back(
          {model.model, std::to_string(cell.tokens), ms(cell.pass()) + Mark(cell.conditions),
           ms(cell.products()), ms(cell.resident()), ms(cell.stream()), Significant(cell.ratio()),
           Percent(s.communication), Percent(s.computation), Percent(s.waiting), Percent(s.other),
           Significant(cell.operations / cell.bytes),
           Significant(cell.operations / cell.products().median / 1e9), cell.kernel});
    }
  }
  return table;
}

/// The part of a cell's smallest pass that reading its weights takes; nothing where disturbed.
std::optional<double> CommunicationOf(const CellRecord& record) {
  if (!HasCrossover(record) || record.measurement->crossover->cells.empty()) return std::nullopt;
  const CrossoverCell& first = record.measurement->crossover->cells.front();
  if (first.conditions.disturbed()) return std::nullopt;
  return first.shares().communication;
}

/// Over all cells and the cells of the next larger model in the same recipe: where it is more.
struct Rising {
  size_t pairs = 0;
  size_t rises = 0;
};
Rising CountRising(std::span<const CellRecord> records) {
  std::map<std::string, std::map<uint64_t, double>> recipes;  // shares by parameters
  for (const CellRecord& record : records) {
    const auto share = CommunicationOf(record);
    if (share) recipes[record.recipe][record.measurement->parameters] = *share;
  }
  Rising rising;
  for (const auto& [recipe, shares] : recipes) {
    for (auto it = shares.begin(); it != shares.end() && std::next(it) != shares.end(); ++it) {
      ++rising.pairs;
      rising.rises += std::next(it)->second > it->second ? 1 : 0;
    }
  }
  return rising;
}

Claim CommunicationClaim(std::span<const CellRecord> records) {
  Claim claim{.said =
                  "the paper (arXiv 2505.15030), in two ways. v1 to v3: as the model shrinks, "
                  "computation gives way to communication. v5: as it grows, communication takes "
                  "the larger part. The heading is v5's."};
  const Rising rising = CountRising(records);
  if (rising.pairs == 0) return claim;
  const Interval interval = Proportion95(rising.rises, rising.pairs);
  claim.sample = fmt::format(
      "{} of cells of neighbouring sizes in one recipe, the smallest pass, undisturbed.",
      Counted(rising.pairs, "pair"));
  claim.refuted = fmt::format(
      "v5 if communication takes more of the larger model's pass in fewer than half of the pairs, "
      "v1 to v3 if in more than half: {} of {} ({}; 95 %: {} to {}), which refutes {}.",
      rising.rises, rising.pairs,
      Percent(static_cast<double>(rising.rises) / static_cast<double>(rising.pairs)),
      Percent(interval.low), Percent(interval.high),
      interval.low > 0.5    ? "v1 to v3"
      : interval.high < 0.5 ? "v5"
                            : "neither");
  return claim;
}

}  // namespace

std::vector<CrossoverModel> Crossovers(std::span<const CellRecord> records) {
  std::vector<CrossoverModel> models;
  for (const CellRecord& record : records) {
    if (!HasCrossover(record)) continue;
    models.push_back(*record.measurement->crossover);
    models.back().model = record.cell;
  }
  return models;
}

Section CrossoverSection(std::span<const CellRecord> records, const Draw& draw) {
  Section section{.heading =
                      "The larger the model, the more communication; the more tokens, the "
                      "more computation"};
  section.claim = CommunicationClaim(records);
  const std::vector<CrossoverModel> models = Crossovers(records);
  const auto measured =
      std::find_if(records.begin(), records.end(), [](auto& record) { return record.ok(); });
  const uint64_t cache = measured == records.end() ? 0 : measured->machine.cache_bytes;
  section.paragraphs.push_back(BandwidthText(Points(records), cache));
  if (models.empty()) {
    section.paragraphs.push_back(
        "The crossover itself: n/a, the plan has no metric \"crossover\".");
    return section;
  }
  section.paragraphs.insert(section.paragraphs.begin(), CrossoverText(models));
  const std::string recipe = BarRecipe(records);
  std::set<size_t> tokens;
  for (const CrossoverModel& model : models) {
    if (!model.cells.empty()) {
      tokens.insert({model.cells.front().tokens, model.cells.back().tokens});
    }
  }
  if (!tokens.empty()) {
    for (const size_t count : {*tokens.begin(), *tokens.rbegin()}) {
      const BarSpec bars = Shares(records, recipe, count);
      if (bars.bars.empty() || (count == *tokens.rbegin() && tokens.size() == 1)) continue;
      section.plots.push_back(
          {.title = bars.title, .svg = DrawBars(bars, fmt::format("bars{}", count))});
    }
  }
  const PlotSpec roofline = Roofline(records);
  if (!roofline.series.empty()) {
    if (auto plot = draw(roofline)) section.plots.push_back(std::move(*plot));
  }
  section.tables = {Map(records), Passes(models)};
  return section;
}

}  // namespace crossover::bench

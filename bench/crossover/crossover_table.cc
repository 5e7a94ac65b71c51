// The crossover as tables and as CSV.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/table.h"
#include "bench/crossover/crossover_run.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

std::string Milliseconds(double seconds) { return Significant(seconds * 1e3); }

std::string Name(const CrossoverModel& model) {
  return std::filesystem::path(model.model).stem().string();
}

void AddRow(Table& table, const CrossoverModel& model, const CrossoverCell& cell) {
  const Summary a = cell.products();
  table.AddRow({Name(model), model.format, fmt::format("{:.2f}", model.effective_bpw),
                fmt::format("{}", cell.tokens),
                Milliseconds(cell.pass().median) + Mark(cell.conditions), Milliseconds(a.median),
                Milliseconds(a.min) + "–" + Milliseconds(a.max),
                Milliseconds(cell.resident().median), Milliseconds(cell.stream().median),
                Percent(cell.shares().communication), fmt::format("{:.2f}", cell.overlap()),
                Milliseconds(cell.overhead_s()),
                cell.bound_by_communication() ? "communication" : "computation"});
}

std::string ChangeLine(const CrossoverModel& model) {
  if (model.cells.empty()) return "";
  const CrossoverModel quiet = model.Undisturbed();
  if (quiet.cells.empty()) {
    return fmt::format("{} {}: where the bound changes is n/a, all passes were disturbed\n",
                       Name(model), model.format);
  }
  const auto change = quiet.tokens_at_change();
  const bool communication = quiet.cells.front().bound_by_communication();
  return fmt::format(
      "{} {}: {}\n", Name(model), model.format,
      change ? fmt::format("the bound changes at {} tokens a pass", Significant(*change))
             : fmt::format(
                   "bound by {} at all of them{}", communication ? "communication" : "computation",
                   quiet.cells.size() < model.cells.size() ? " that were not disturbed" : ""));
}

struct Group {
  std::string what;
  std::string variable;
  std::vector<BoundPoint> points;
};

/// The points of one number of tokens, once for each thing that can be held fixed.
std::map<std::string, Group> GroupsAt(std::span<const CrossoverModel> models, size_t tokens) {
  std::map<std::string, Group> groups;
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) {
      if (cell.tokens != tokens) continue;
      const auto add = [&](const std::string& what, const char* variable, double x) {
        Group& group = groups[what];
        group.what = what;
        group.variable = variable;
        group.points.emplace_back(x, cell.ratio());
      };
      const auto parameters = static_cast<double>(model.parameters);
      add(fmt::format("{} parameters", Significant(parameters / 1e6) + " M"), "bits a weight",
          model.effective_bpw);
      add(model.format, "million parameters", parameters / 1e6);
    }
  }
  return groups;
}

}  // namespace

std::vector<BoundAcross> BoundsAcross(std::span<const CrossoverModel> measured) {
  const std::vector<CrossoverModel> models = Undisturbed(measured);
  std::set<size_t> tokens;
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) tokens.insert(cell.tokens);
  }
  std::vector<BoundAcross> bounds;
  for (const size_t t : tokens) {
    for (const auto& [key, group] : GroupsAt(models, t)) {
      std::set<double> distinct;
      for (const BoundPoint& point : group.points) distinct.insert(point.first);
      if (distinct.size() < 2) continue;
      bounds.push_back({.what = group.what,
                        .variable = group.variable,
                        .tokens = t,
                        .change = BoundChange(group.points),
                        .communication = group.points.front().second > 1});
    }
  }
  return bounds;
}

std::string CrossoverTable(std::span<const CrossoverModel> models) {
  Table table({{"model", Table::Align::kLeft},
               {"format", Table::Align::kLeft},
               {"BPW"},
               {"tokens"},
               {"pass ms"},
               {"(a) ms"},
               {"min–max"},
               {"(b) ms"},
               {"(c) ms"},
               {"comm."},
               {"overlap"},
               {"over ms"},
               {"bound", Table::Align::kLeft}});
  std::string lines;
  DisturbedCount count;
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) {
      AddRow(table, model, cell);
      count.Add(cell.conditions);
    }
    lines += ChangeLine(model);
  }
  for (const BoundAcross& bound : BoundsAcross(models)) {
    if (!bound.change) continue;
    lines +=
        fmt::format("{}, {} token{} a pass: the bound changes at {} {}\n", bound.what, bound.tokens,
                    bound.tokens == 1 ? "" : "s", Significant(*bound.change), bound.variable);
  }
  return table.Text() + count.FootLine() + "\n" + lines;
}

std::string CrossoverCsv(std::span<const CrossoverModel> models) {
  std::string csv =
      "model,format,effective_bpw,parameters,tokens,bytes,operations,kernel,unit,pass_s,"
      "products_s,products_min_s,products_max_s,resident_s,stream_s,ratio,overlap,overhead_s,"
      "communication,computation,waiting,other,bound,disturbed\n";
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) {
      const CrossoverCell::Shares s = cell.shares();
      csv += fmt::format(
          "{},{},{:.4f},{},{},{:.0f},{:.0f},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.4f},"
          "{:.4f},{:.6g},{:.4f},{:.4f},{:.4f},{:.4f},{},{}\n",
          CsvField(model.model), CsvField(model.format), model.effective_bpw, model.parameters,
          cell.tokens, cell.bytes, cell.operations, CsvField(cell.kernel), CsvField(cell.unit),
          cell.pass().median, cell.products().median, cell.products().min, cell.products().max,
          cell.resident().median, cell.stream().median, cell.ratio(), cell.overlap(),
          cell.overhead_s(), s.communication, s.computation, s.waiting, s.other,
          cell.bound_by_communication() ? "communication" : "computation",
          CsvField(cell.conditions));
    }
  }
  return csv;
}

}  // namespace crossover::bench

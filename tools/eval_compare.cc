#include "tools/eval_compare.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "base/table.h"
#include "bench/text.h"
#include "evals/compare.h"

namespace crossover::tools {
namespace {

struct Comparison {
  const EvalRow* row;
  const EvalRow* base;
  evals::PairedComparison paired;
};

const EvalRow* FindBase(const std::vector<EvalRow>& rows, const EvalRow& row) {
  for (const EvalRow& candidate : rows) {
    if (candidate.model != rows[0].model) continue;
    if (candidate.metric.task == row.metric.task &&
        candidate.metric.full_name() == row.metric.full_name()) {
      return &candidate;
    }
  }
  return nullptr;
}

std::vector<Comparison> CompareAll(const std::vector<EvalRow>& rows) {
  std::vector<Comparison> all;
  for (const EvalRow& row : rows) {
    const EvalRow* base = FindBase(rows, row);
    const auto& values = row.metric.values;
    if (row.model == rows[0].model || base == nullptr || values.empty()) continue;
    if (values.size() != base->metric.values.size()) continue;
    if (!row.metric.reason.empty() || !base->metric.reason.empty()) continue;  // not measured
    all.push_back({&row, base, evals::ComparePaired(values, base->metric.values)});
  }
  return all;
}

// What the mean is taken of, where it is not the metric itself.
std::string Name(const evals::MetricResult& metric) {
  return metric.is_proportion ? metric.full_name() : "mean ln p";
}

nlohmann::json ToJson(const Comparison& comparison) {
  const auto& [row, base, paired] = comparison;
  nlohmann::json json = {{"model", row->model},
                         {"base", base->model},
                         {"task", row->metric.task},
                         {"metric", row->metric.full_name()},
                         {"of", Name(row->metric)},
                         {"difference", paired.difference.value},
                         {"stderr", paired.difference.standard_error},
                         {"n", paired.n}};
  if (paired.is_binary) {
    json["gained"] = paired.gained;
    json["lost"] = paired.lost;
    json["mcnemar_p"] = paired.p_value;
  }
  return json;
}

std::string FileName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

std::string Shown(const Comparison& comparison, double value, bool sign) {
  const bool percent = comparison.row->metric.is_proportion;
  const double shown = percent ? 100 * value : value;
  if (!std::isfinite(shown)) return "n/a (one item)";
  const std::string number = sign ? fmt::format("{:+.{}f}", shown, percent ? 2 : 5)
                                  : fmt::format("{:.{}f}", shown, percent ? 2 : 5);
  return percent ? number + " %" : number + "  ";
}

void PrintTable(const std::vector<Comparison>& comparisons, const std::string& base) {
  Table table({{fmt::format("against {}", FileName(base)), Table::Align::kLeft},
               {"task", Table::Align::kLeft},
               {"metric", Table::Align::kLeft},
               {"difference"},
               {"paired ±"},
               {"gained"},
               {"lost"},
               {"McNemar p"}});
  for (const Comparison& c : comparisons) {
    const bool binary = c.paired.is_binary;
    table.AddRow({FileName(c.row->model), c.row->metric.task, Name(c.row->metric),
                  Shown(c, c.paired.difference.value, true),
                  Shown(c, c.paired.difference.standard_error, false),
                  binary ? fmt::to_string(c.paired.gained) : "",
                  binary ? fmt::to_string(c.paired.lost) : "",
                  binary ? fmt::format("{:.3g}", c.paired.p_value) : ""});
  }
  fmt::print("\n{}", table.Text());
}

void PrintCsv(const std::vector<Comparison>& comparisons) {
  fmt::print("\nmodel,base,task,metric,difference,stderr,n,gained,lost,mcnemar_p\n");
  for (const Comparison& c : comparisons) {
    const double error = c.paired.difference.standard_error;
    fmt::print("{},{},{},{},{},{},{},", bench::CsvField(c.row->model),
               bench::CsvField(c.base->model), bench::CsvField(c.row->metric.task),
               bench::CsvField(Name(c.row->metric)), c.paired.difference.value,
               std::isfinite(error) ? fmt::to_string(error) : "", c.paired.n);
    if (c.paired.is_binary) {
      fmt::print("{},{},{}\n", c.paired.gained, c.paired.lost, c.paired.p_value);
    } else {
      fmt::print(",,\n");
    }
  }
}

}  // namespace

void PrintEvalComparison(const std::vector<EvalRow>& rows, EvalOutput output) {
  const std::vector<Comparison> comparisons = CompareAll(rows);
  if (output == EvalOutput::kJson) {
    nlohmann::json json = {{"results", EvalJson(rows)}, {"compare", nlohmann::json::array()}};
    for (const Comparison& c : comparisons) json["compare"].push_back(ToJson(c));
    fmt::print("{}\n", DumpJson(json, 2));
  } else if (output == EvalOutput::kCsv) {
    PrintEvalCsv(rows);
    PrintCsv(comparisons);
  } else {
    PrintEvalTable(rows);
    PrintTable(comparisons, rows[0].model);
  }
}

}  // namespace crossover::tools

#include "tools/eval_print.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/table.h"
#include "base/visible_text.h"
#include "bench/text.h"

namespace crossover::tools {
namespace {

std::string Shown(const evals::MetricResult& metric, double value) {
  if (!std::isfinite(value)) return "n/a";
  return metric.is_proportion ? fmt::format("{:.2f} %", 100 * value)
                              : fmt::format("{:.4g}  ", value);
}

}  // namespace

nlohmann::json EvalJson(const std::vector<EvalRow>& rows) {
  nlohmann::json json = nlohmann::json::array();
  for (const EvalRow& row : rows) {
    json.push_back({{"model", row.model},
                    {"task", row.metric.task},
                    {"metric", row.metric.full_name()},
                    {"value", row.metric.value},
                    {"stderr", row.metric.standard_error},
                    {"n", row.metric.n}});
    if (!row.metric.reason.empty()) json.back()["reason"] = row.metric.reason;
  }
  return json;
}

void PrintEvalJson(const std::vector<EvalRow>& rows) {
  // A file's name need not be UTF-8.
  fmt::print("{}\n", DumpJson(EvalJson(rows), 2));
}

void PrintEvalCsv(const std::vector<EvalRow>& rows) {
  fmt::print("model,task,metric,value,stderr,n\n");
  for (const EvalRow& row : rows) {
    const double error = row.metric.standard_error;
    const auto cell = [](double x) { return std::isfinite(x) ? fmt::to_string(x) : ""; };
    fmt::print("{},{},{},{},{},{}\n", bench::CsvField(row.model), bench::CsvField(row.metric.task),
               bench::CsvField(row.metric.full_name()), cell(row.metric.value), cell(error),
               row.metric.n);
  }
}

void PrintEvalTable(const std::vector<EvalRow>& rows) {
  Table table({{"model", Table::Align::kLeft},
               {"task", Table::Align::kLeft},
               {"metric", Table::Align::kLeft},
               {"value"},
               {"±"},
               {"items"}});
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && rows[i].model != rows[i - 1].model) table.AddRule();
    const evals::MetricResult& metric = rows[i].metric;
    const double error = metric.standard_error;
    table.AddRow({std::filesystem::path(rows[i].model).filename().string(), metric.task,
                  metric.full_name(), Shown(metric, metric.value),
                  metric.n == 1 ? "n/a (one item)" : Shown(metric, error),
                  fmt::to_string(metric.n)});
  }
  fmt::print("{}", table.Text());
  for (const EvalRow& row : rows) {
    const evals::MetricResult& metric = row.metric;
    if (metric.reason.empty()) continue;
    fmt::print("n/a: {} {}: {}\n", VisibleText(metric.task), VisibleText(metric.full_name()),
               VisibleText(metric.reason));
  }
}

}  // namespace crossover::tools

#include "tools/eval_print.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/table.h"

namespace crossover::tools {
namespace {

std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string Shown(const evals::MetricResult& metric, double value) {
  return metric.is_proportion ? fmt::format("{:.2f} %", 100 * value)
                              : fmt::format("{:.4g}  ", value);
}

}  // namespace

void PrintEvalJson(const std::vector<EvalRow>& rows) {
  nlohmann::json json = nlohmann::json::array();
  for (const EvalRow& row : rows) {
    json.push_back({{"model", row.model},
                    {"task", row.metric.task},
                    {"metric", row.metric.metric},
                    {"value", row.metric.value},
                    {"stderr", row.metric.standard_error},
                    {"n", row.metric.n}});
  }
  // A file's name need not be UTF-8.
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void PrintEvalCsv(const std::vector<EvalRow>& rows) {
  fmt::print("model,task,metric,value,stderr,n\n");
  for (const EvalRow& row : rows) {
    const double error = row.metric.standard_error;
    fmt::print("{},{},{},{},{},{}\n", Quoted(row.model), Quoted(row.metric.task), row.metric.metric,
               row.metric.value, std::isfinite(error) ? fmt::to_string(error) : "", row.metric.n);
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
                  metric.metric, Shown(metric, metric.value),
                  std::isfinite(error) ? Shown(metric, error) : "n/a (one item)",
                  fmt::to_string(metric.n)});
  }
  fmt::print("{}", table.Text());
}

}  // namespace crossover::tools

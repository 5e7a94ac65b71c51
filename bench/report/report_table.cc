// The report as text for the terminal, and as CSV.
#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/markdown.h"
#include "base/table.h"
#include "bench/report/findings.h"
#include "bench/report/report.h"
#include "bench/report/report_rows.h"
#include "bench/study/study_columns.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

using TaskMetric = std::pair<std::string, std::string>;

std::vector<TaskMetric> TaskMetrics(std::span<const CellRecord> records) {
  std::vector<TaskMetric> all;
  std::map<TaskMetric, bool> seen;
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    for (const TaskRecord& task : record.measurement->tasks) {
      if (!std::exchange(seen[{task.task, task.metric}], true)) {
        all.emplace_back(task.task, task.metric);
      }
    }
  }
  return all;
}

void AddTasks(const CellRecord& record, const std::vector<TaskMetric>& metrics,
              std::vector<std::string>& fields) {
  for (const auto& [name, metric] : metrics) {
    std::string value;
    std::string error;
    if (record.ok()) {
      for (const TaskRecord& task : record.measurement->tasks) {
        if (task.task != name || task.metric != metric) continue;
        value = CsvNumber(task.value);
        error = CsvNumber(task.standard_error);
      }
    }
    fields.push_back(value);
    fields.push_back(error);
  }
}

Table ToTable(const ReportRows& rows, bool rules) {
  std::vector<Table::Column> columns;
  for (const ReportColumn& column : rows.columns) {
    columns.push_back({column.title, column.left ? Table::Align::kLeft : Table::Align::kRight});
  }
  Table table(columns);
  bool first = true;
  for (const auto& row : rows.rows) {
    if (row.first_of_model && !std::exchange(first, false) && rules) table.AddRule();
    table.AddRow(row.cells);
  }
  return table;
}

}  // namespace

std::string ReportTable(std::span<const CellRecord> records) {
  const ReportRows rows = MakeReportRows(records);
  std::string text = ToTable(rows, true).Text() + "\n";
  for (const std::string& failure : rows.failures) text += "FAILED " + failure + "\n";
  for (const std::string& warning : ReportWarnings(records)) text += warning + "\n";
  for (const std::string& note : ReportNotes(records)) text += note + "\n";
  return text;
}

std::string ReportMarkdown(std::span<const CellRecord> records) {
  const ReportRows rows = MakeReportRows(records);
  std::string text(kMarkdownBeginning);
  for (const std::string& warning : ReportWarnings(records)) {
    text += EscapeMarkdown(warning) + "\n\n";
  }
  text += ToTable(rows, false).Markdown() + "\n";
  for (const std::string& failure : rows.failures) {
    text += "- FAILED " + EscapeMarkdown(failure) + "\n";
  }
  for (const std::string& note : ReportNotes(records)) text += "- " + EscapeMarkdown(note) + "\n";
  return text;
}

std::string ReportCsv(std::span<const CellRecord> records) {
  const std::vector<TaskMetric> metrics = TaskMetrics(records);
  const std::vector<StudyColumn> columns = StudyColumns();
  std::string text;
  for (const StudyColumn& column : columns) text += (text.empty() ? "" : ",") + column.name;
  for (const auto& [task, metric] : metrics) {
    const std::string name = task + " " + metric;
    text += fmt::format(",{},{}", CsvField(name), CsvField(name + " stderr"));
  }
  text += '\n';
  for (const CellRecord& record : records) {
    std::vector<std::string> fields;
    for (const StudyColumn& column : columns) fields.push_back(column.get(record));
    AddTasks(record, metrics, fields);
    for (std::string& field : fields) field = CsvField(field);
    text += fmt::format("{}\n", fmt::join(fields, ","));
  }
  return text;
}

}  // namespace crossover::bench

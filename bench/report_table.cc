// The report as text for the terminal, and as CSV.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <utility>

#include "base/table.h"
#include "bench/report.h"
#include "bench/report_rows.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr const char* kCsvColumns =
    "model,recipe,status,error,parameters,effective_bpw,file_bytes,perplexity,perplexity_stderr,"
    "perplexity_tokens,prefill_tokens,prefill_tok_s,prefill_min,prefill_max,prefill_limit,"
    "decode_tokens,decode_tok_s,decode_min,decode_max,decode_limit,peak_rss_bytes,load_seconds,"
    "energy_j_per_token,quantize_seconds,fallbacks,threads,isa,activations,kv_type,load,weights,"
    "cpu,"
    "version,"
    "date";

std::string Field(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

template <class T>
std::string Field(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "";
}

void AddSpeed(const SpeedResult& speed, std::vector<std::string>& fields) {
  const Summary summary = speed.summary();
  for (const std::string& field : {fmt::format("{}", speed.tokens), Field(summary.median),
                                   Field(summary.min), Field(summary.max), Field(speed.limit)}) {
    fields.push_back(field);
  }
}

std::vector<std::string> Fields(const CellRecord& record) {
  std::vector<std::string> fields{record.model, record.recipe, record.ok() ? "ok" : "failed",
                                  record.error};
  const Measurement none;
  const Measurement& m = record.ok() ? *record.measurement : none;
  const auto number = [&](auto value) { return record.ok() ? fmt::format("{}", value) : ""; };
  fields.push_back(number(m.parameters));
  fields.push_back(number(m.effective_bpw));
  fields.push_back(number(m.file_bytes));
  const auto& p = m.perplexity;
  fields.push_back(p ? Field(p->ppl) : "");
  fields.push_back(p ? Field(p->ppl_stderr) : "");
  fields.push_back(p ? fmt::format("{}", p->tokens) : "");
  if (const auto& speed = m.speed) {
    AddSpeed(speed->prefill, fields);
    AddSpeed(speed->decode, fields);
    fields.push_back(Field(speed->peak_rss_bytes));
    fields.push_back(Field(speed->load_seconds));
    fields.push_back(Field(speed->energy_j_per_token));
  } else {
    fields.insert(fields.end(), 13, "");
  }
  fields.push_back(Field(record.quantize_seconds));
  fields.push_back(fmt::format("{}", record.fallbacks));
  fields.push_back(fmt::format("{}", record.settings.threads));
  fields.push_back(record.ok() ? m.isa : record.settings.isa);
  fields.insert(fields.end(),
                {record.settings.activations, record.settings.kv_type, record.settings.load,
                 record.settings.weights, record.machine.cpu, record.version, record.date});
  return fields;
}

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
        value = Field(task.value);
        error = Field(task.standard_error);
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
  std::string text;
  for (const std::string& warning : ReportWarnings(records)) text += warning + "\n\n";
  text += ToTable(rows, false).Markdown() + "\n";
  for (const std::string& failure : rows.failures) text += "- FAILED " + failure + "\n";
  for (const std::string& note : ReportNotes(records)) text += "- " + note + "\n";
  return text;
}

std::string ReportCsv(std::span<const CellRecord> records) {
  const std::vector<TaskMetric> metrics = TaskMetrics(records);
  std::string text = kCsvColumns;
  for (const auto& [task, metric] : metrics) {
    const std::string name = task + " " + metric;
    text += fmt::format(",{},{}", CsvField(name), CsvField(name + " stderr"));
  }
  text += '\n';
  for (const CellRecord& record : records) {
    std::vector<std::string> fields = Fields(record);
    AddTasks(record, metrics, fields);
    for (std::string& field : fields) field = CsvField(field);
    text += fmt::format("{}\n", fmt::join(fields, ","));
  }
  return text;
}

}  // namespace crossover::bench

#include "bench/report/report_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/counted.h"
#include "bench/report/findings.h"
#include "bench/study/study_columns.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr const char* kNone = "n/a";

bool HasDivergence(const CellRecord& record) {
  return record.ok() && record.measurement->perplexity &&
         record.measurement->perplexity->divergence.has_value();
}

std::string AccuracyText(const Measurement& m, const std::string& task) {
  // The first metric of a task is the one that its literature quotes.
  for (const TaskRecord& record : m.tasks) {
    if (record.task == task) return WithError(100 * record.value, 100 * record.standard_error, 0);
  }
  return kNone;
}

std::vector<std::string> TaskNames(std::span<const CellRecord> records) {
  std::vector<std::string> names;
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    for (const TaskRecord& task : record.measurement->tasks) {
      if (std::find(names.begin(), names.end(), task.task) == names.end()) {
        names.push_back(task.task);
      }
    }
  }
  return names;
}

const CellRecord* FirstMeasured(std::span<const CellRecord> records) {
  const auto found = std::find_if(records.begin(), records.end(),
                                  [](const CellRecord& record) { return record.ok(); });
  return found == records.end() ? nullptr : &*found;
}

std::string TaskNote(const Measurement& m) {
  std::string text;
  std::string last;
  for (const TaskRecord& task : m.tasks) {
    if (task.task == last) continue;
    last = task.task;
    text += fmt::format("{}{} {} ({})", text.empty() ? "" : ", ", task.task, task.metric,
                        Counted(task.n, "item"));
  }
  return "Accuracy in percent ± standard error: " + text + ".";
}

std::string LimitsNote(const MachineRecord& machine) {
  std::string text = "Measured limits: ";
  text += machine.limits.read_bytes_s
              ? fmt::format("memory reads {} GB/s", Significant(*machine.limits.read_bytes_s / 1e9))
              : std::string("memory reads n/a");
  text += machine.limits.flops_s
              ? fmt::format(", arithmetic {} Gop/s ({})",
                            Significant(*machine.limits.flops_s / 1e9), machine.limits.flops_unit)
              : std::string(", arithmetic n/a");
  if (!machine.limits.reason.empty()) text += " (" + machine.limits.reason + ")";
  return text + ". “of limit” is decode speed against reading the weights at that bandwidth.";
}

/// What a reader must mind: cells that another build measured.
std::vector<std::string> OtherBuilds(std::span<const CellRecord> records) {
  std::map<std::string, size_t> builds;
  for (const CellRecord& record : records) {
    if (record.ok()) ++builds[record.version];
  }
  if (builds.size() < 2) return {};
  std::vector<std::string> texts;
  for (const auto& [build, cells] : builds)
    texts.push_back(fmt::format("{}: {} cells", build, cells));
  return {
      fmt::format("Measured by several builds of the program, so that cells may not be "
                  "comparable: {}. The study, run again, measures all cells with one.",
                  fmt::join(texts, "; "))};
}

/// Likewise: cells of several machines, or measured side by side on one.
std::vector<std::string> OtherMachines(std::span<const CellRecord> records,
                                       const MachineRecord& first) {
  std::map<std::string, size_t> machines;
  size_t sharing = 0;
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    ++machines[record.machine.host + " (" + record.machine.cpu + ")"];
    sharing += record.machine.sharers > 1 ? 1 : 0;
  }
  std::vector<std::string> notes;
  if (machines.size() > 1) {
    std::string text =
        "Measured on several machines, so that speeds of different cells may not be "
        "comparable: ";
    for (const auto& [name, cells] : machines)
      text += fmt::format("{}: {}; ", name, Counted(cells, "cell"));
    notes.push_back(text + "the figures of limits are those of " + first.host + ".");
  }
  if (sharing > 0) {
    notes.push_back(
        fmt::format("{} measured while another rank measured on the same host: speeds are lower "
                    "there than they would be alone.",
                    Counted(sharing, "cell was", "cells were")));
  }
  return notes;
}

}  // namespace

std::vector<CellRecord> InReportOrder(std::vector<CellRecord> records) {
  std::map<std::string, uint64_t> parameters;  // failed cells do not know theirs
  for (const CellRecord& record : records) {
    if (record.ok()) parameters[record.model] = record.measurement->parameters;
  }
  std::stable_sort(records.begin(), records.end(), [&](const CellRecord& a, const CellRecord& b) {
    if (a.model != b.model) {
      const uint64_t size_a = parameters[a.model];
      const uint64_t size_b = parameters[b.model];
      return size_a != size_b ? size_a < size_b : a.model < b.model;
    }
    if (a.ok() != b.ok()) return a.ok();
    return a.ok() && a.measurement->effective_bpw > b.measurement->effective_bpw;
  });
  return records;
}

ReportRows MakeReportRows(std::span<const CellRecord> records) {
  const std::vector<std::string> tasks = TaskNames(records);
  std::vector<StudyColumn> columns = StudyColumns();
  for (StudyColumn& column : columns) {
    const bool there = std::any_of(records.begin(), records.end(), [&](const CellRecord& record) {
      return !column.get(record).empty();
    });
    if (column.optional && !there) column.title.clear();
  }
  ReportRows out;
  for (const StudyColumn& column : columns) {
    if (!column.title.empty()) out.columns.push_back({column.title, column.left});
    if (column.name != kTasksBehind) continue;
    for (const std::string& task : tasks) out.columns.push_back({task + " %"});
  }
  std::string model;
  for (const CellRecord& record : records) {
    if (!record.ok()) {
      out.failures.push_back(record.cell + ": " + record.error);
      continue;
    }
    ReportRows::Row row{.first_of_model = record.model != model};
    for (const StudyColumn& column : columns) {
      if (!column.title.empty()) row.cells.push_back(column.text(record));
      if (column.name != kTasksBehind) continue;
      for (const std::string& task : tasks) {
        row.cells.push_back(AccuracyText(*record.measurement, task));
      }
    }
    out.rows.push_back(std::move(row));
    model = record.model;
  }
  return out;
}

std::vector<std::string> ReportWarnings(std::span<const CellRecord> records) {
  std::vector<std::string> warnings;
  if (const std::string disturbed = DisturbedText(records); !disturbed.empty()) {
    warnings.push_back(disturbed);
  }
  std::set<std::string> seen;
  for (const CellRecord& record : records) {
    if (!record.ok() || !record.measurement->source) continue;
    const SourceRecord& source = *record.measurement->source;
    if (!source.quantized || !seen.insert(record.model).second) continue;
    warnings.push_back(fmt::format(
        "{} comes from a file that is quantised itself (mostly {}, {:.2f} bits a weight): its "
        "figures are distances from that file, not from the model that was trained.",
        record.model, source.format, source.bpw));
  }
  std::set<std::string> told;
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    for (const std::string& warning : record.measurement->warnings) {
      std::string line = fmt::format("{}: {}.", record.model, warning);
      if (told.insert(line).second) warnings.push_back(std::move(line));
    }
  }
  return warnings;
}

std::vector<std::string> ReportNotes(std::span<const CellRecord> records) {
  const CellRecord* record = FirstMeasured(records);
  if (record == nullptr) return {};
  const Measurement& m = *record->measurement;
  std::vector<std::string> notes;
  if (const auto& p = m.perplexity) {
    notes.push_back(fmt::format("Perplexity ± standard error over {} ({} of {}).",
                                Counted(p->tokens, "token"), Counted(p->chunks, "chunk"),
                                p->context));
    if (std::any_of(records.begin(), records.end(), HasDivergence)) {
      notes.push_back(
          "KLD: mean Kullback-Leibler divergence from the model's own file over the same tokens, "
          "in "
          "thousandths of a nat; same top: how often both have the same likeliest token.");
    }
  }
  if (!m.tasks.empty()) notes.push_back(TaskNote(m));
  if (const auto& s = m.speed) {
    const Conditions& conditions = s->decode.conditions;
    notes.push_back(fmt::format(
        "Prefill {}, decode {}, {} of at least some "
        "50 ms each after a warm-up{}; peak RSS of a "
        "process that loads, prefills and decodes. Energy: {}.",
        Counted(s->prefill.tokens, "token"), Counted(s->decode.tokens, "token"),
        Counted(conditions.asked > 0 ? conditions.asked : s->decode.samples.size(), "repetition"),
        conditions.known() ? ", more where some were disturbed, whose medians are of "
                             "the undisturbed ones; !: fewer than half were undisturbed"
                           : "",
        s->energy_j_per_token ? "in results.csv" : "n/a, " + s->energy_reason));
  }
  notes.push_back(LimitsNote(record->machine));
  for (const std::string& other : OtherMachines(records, record->machine)) notes.push_back(other);
  for (const std::string& other : OtherBuilds(records)) notes.push_back(other);
  notes.push_back(
      fmt::format("{}, {}, {:.0f} GiB; {}, kernels {}, activations {}, "
                  "KV {}, weights by {}, {}; Crossover {}, {}.",
                  record->machine.cpu, Counted(record->machine.cores, "core"),
                  static_cast<double>(record->machine.memory_bytes) / (1 << 30),
                  Counted(record->settings.threads, "thread"), m.isa, record->settings.activations,
                  record->settings.kv_type, record->settings.load, record->settings.weights,
                  record->version, record->date));
  return notes;
}

}  // namespace crossover::bench

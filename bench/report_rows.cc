#include "bench/report_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bench/findings.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr const char* kNone = "n/a";

std::string WithError(double value, double error, int digits, double scale = 1) {
  if (!std::isfinite(error)) return fmt::format("{:.{}f}", value * scale, digits);
  return fmt::format("{:.{}f} ± {:.{}f}", value * scale, digits, error * scale, digits);
}

std::string PerplexityText(const Measurement& m) {
  if (!m.perplexity) return kNone;
  return WithError(m.perplexity->ppl, m.perplexity->ppl_stderr, 2);
}

bool HasDivergence(const CellRecord& record) {
  return record.ok() && record.measurement->perplexity &&
         record.measurement->perplexity->divergence.has_value();
}

/// KL divergence in thousandths of a nat, and the share of tokens with the same likeliest one.
std::vector<std::string> DivergenceTexts(const CellRecord& record) {
  if (!HasDivergence(record)) return {kNone, kNone};
  const DivergenceRecord& d = *record.measurement->perplexity->divergence;
  return {WithError(d.kld, d.kld_stderr, 2, 1000), fmt::format("{:.1f}", 100 * d.same_top)};
}

std::string AccuracyText(const Measurement& m, const std::string& task) {
  // The first metric of a task is the one that its literature quotes.
  for (const TaskRecord& record : m.tasks) {
    if (record.task == task) return WithError(record.value, record.standard_error, 0, 100);
  }
  return kNone;
}

std::string SpeedText(const SpeedResult& speed) {
  const Summary summary = speed.summary();
  return fmt::format("{} ({}–{})", Significant(summary.median), Significant(summary.min),
                     Significant(summary.max));
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

std::vector<std::string> Row(const CellRecord& record, const std::vector<std::string>& tasks,
                             bool divergence) {
  const Measurement& m = *record.measurement;
  std::vector<std::string> cells{record.model, record.recipe,
                                 fmt::format("{:.2f}", m.effective_bpw), Megabytes(m.file_bytes),
                                 PerplexityText(m)};
  if (divergence) {
    for (const std::string& text : DivergenceTexts(record)) cells.push_back(text);
  }
  for (const std::string& task : tasks) cells.push_back(AccuracyText(m, task));
  if (const auto& speed = m.speed) {
    const auto fraction = speed->decode.fraction_of_limit();
    cells.push_back(SpeedText(speed->prefill));
    cells.push_back(SpeedText(speed->decode));
    cells.push_back(fraction ? Percent(*fraction) : kNone);
    cells.push_back(speed->peak_rss_bytes ? Megabytes(*speed->peak_rss_bytes) : kNone);
  } else {
    cells.insert(cells.end(), 4, kNone);
  }
  return cells;
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
    text +=
        fmt::format("{}{} {} ({} items)", text.empty() ? "" : ", ", task.task, task.metric, task.n);
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
    for (const auto& [name, cells] : machines) text += fmt::format("{}: {} cells; ", name, cells);
    notes.push_back(text + "the figures of limits are those of " + first.host + ".");
  }
  if (sharing > 0) {
    notes.push_back(
        fmt::format("{} cells were measured while another rank measured on the same "
                    "host: their speeds are lower than they would be alone.",
                    sharing));
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
  ReportRows out;
  out.columns = {{"model", true}, {"recipe", true}, {"BPW"}, {"MB"}, {"perplexity"}};
  const bool divergence = std::any_of(records.begin(), records.end(), HasDivergence);
  if (divergence) {
    out.columns.push_back({"KLD ×1000"});
    out.columns.push_back({"same top %"});
  }
  for (const std::string& task : tasks) out.columns.push_back({task + " %"});
  out.columns.push_back({"prefill tok/s (min–max)"});
  out.columns.push_back({"decode tok/s (min–max)"});
  out.columns.push_back({"of limit"});
  out.columns.push_back({"peak RSS MB"});
  std::string model;
  for (const CellRecord& record : records) {
    if (!record.ok()) {
      out.failures.push_back(record.cell + ": " + record.error);
      continue;
    }
    out.rows.push_back(
        {.cells = Row(record, tasks, divergence), .first_of_model = record.model != model});
    model = record.model;
  }
  return out;
}

std::vector<std::string> ReportWarnings(std::span<const CellRecord> records) {
  std::vector<std::string> warnings;
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
  return warnings;
}

std::vector<std::string> ReportNotes(std::span<const CellRecord> records) {
  const CellRecord* record = FirstMeasured(records);
  if (record == nullptr) return {};
  const Measurement& m = *record->measurement;
  std::vector<std::string> notes;
  if (const auto& p = m.perplexity) {
    notes.push_back(fmt::format("Perplexity ± standard error over {} tokens ({} chunks of {}).",
                                p->tokens, p->chunks, p->context));
    if (std::any_of(records.begin(), records.end(), HasDivergence)) {
      notes.push_back(
          "KLD: mean Kullback-Leibler divergence from the model's own file over the same tokens, "
          "in "
          "thousandths of a nat; same top: how often both have the same likeliest token.");
    }
  }
  if (!m.tasks.empty()) notes.push_back(TaskNote(m));
  if (const auto& s = m.speed) {
    notes.push_back(
        fmt::format("Prefill {} tokens, decode {} tokens, {} repetitions of at least some "
                    "50 ms each after a warm-up; peak RSS of a "
                    "process that loads, prefills and decodes. Energy: {}.",
                    s->prefill.tokens, s->decode.tokens, s->decode.samples.size(),
                    s->energy_j_per_token ? "in results.csv" : "n/a, " + s->energy_reason));
  }
  notes.push_back(LimitsNote(record->machine));
  for (const std::string& other : OtherMachines(records, record->machine)) notes.push_back(other);
  for (const std::string& other : OtherBuilds(records)) notes.push_back(other);
  notes.push_back(fmt::format(
      "{}, {} cores, {:.0f} GiB; {} threads, kernels {}, activations {}, "
      "KV {}, weights by {}, {}; Crossover {}, {}.",
      record->machine.cpu, record->machine.cores,
      static_cast<double>(record->machine.memory_bytes) / (1 << 30), record->settings.threads,
      m.isa, record->settings.activations, record->settings.kv_type, record->settings.load,
      record->settings.weights, record->version, record->date));
  return notes;
}

}  // namespace crossover::bench

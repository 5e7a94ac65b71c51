// MachineLimits as JSON, as a table and as CSV.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/table.h"
#include "bench/machine/machine.h"
#include "bench/machine/machine_info.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr double kGiga = 1e9;

/// One row of either list, in 10^9 a second.
struct Figure {
  std::string what;
  std::string detail;  // working set or instruction
  size_t threads = 0;
  std::vector<double> samples;
  std::string reason;
  Conditions conditions = {};

  Summary summary() const { return Summarise(conditions.Kept(samples)); }
};

std::vector<double> Scaled(const std::vector<double>& samples) {
  std::vector<double> scaled;
  for (const double sample : samples) scaled.push_back(sample / kGiga);
  return scaled;
}

std::string Bytes(uint64_t bytes) {
  if (bytes == 0) return "";
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  return bytes >= 10 * kMiB ? fmt::format("{} MiB", bytes / kMiB)
                            : fmt::format("{} KiB", bytes / 1024);
}

std::vector<Figure> BandwidthFigures(const MachineLimits& limits) {
  std::vector<Figure> figures;
  for (const BandwidthLimit& limit : limits.bandwidth) {
    figures.push_back({limit.level, Bytes(limit.working_set_bytes), limit.threads,
                       Scaled(limit.bytes_s), limit.reason, limit.conditions});
  }
  return figures;
}

/// In microseconds, unlike the others.
std::vector<Figure> BarrierFigures(const MachineLimits& limits) {
  std::vector<Figure> figures;
  for (const BarrierLimit& limit : limits.barrier) {
    std::vector<double> microseconds;
    for (const double seconds : limit.seconds) microseconds.push_back(seconds * 1e6);
    figures.push_back(
        {"barrier", "", limit.threads, std::move(microseconds), "", limit.conditions});
  }
  return figures;
}

std::vector<double> SamplesFromJson(const nlohmann::json& row, double unit) {
  std::vector<double> samples;
  if (!row.contains("samples")) return samples;
  for (const double value : row.at("samples").get<std::vector<double>>()) {
    samples.push_back(value * unit);
  }
  return samples;
}

std::string ReasonFromJson(const nlohmann::json& row) {
  return row.value("reason", row.value("note", std::string()));
}

std::vector<Figure> PeakFigures(const MachineLimits& limits) {
  std::vector<Figure> figures;
  for (const PeakLimit& limit : limits.peak) {
    figures.push_back({limit.unit, limit.instruction, limit.threads, Scaled(limit.operations_s),
                       limit.reason, limit.conditions});
  }
  return figures;
}

nlohmann::json FigureJson(const Figure& figure, const char* name, const char* value) {
  nlohmann::json json = {{name, figure.what}, {"threads", figure.threads}};
  const std::string unit = value;
  if (figure.samples.empty()) {
    json[unit] = nullptr;
  } else {
    const Summary summary = figure.summary();
    json[unit] = summary.median;
    json[unit + "_min"] = summary.min;
    json[unit + "_max"] = summary.max;
    json["repetitions"] = figure.samples.size();
    json["samples"] = figure.samples;
    json["disturbed"] = figure.conditions.disturbed();
    json["conditions"] = figure.conditions;
  }
  if (!figure.reason.empty()) json[figure.samples.empty() ? "reason" : "note"] = figure.reason;
  return json;
}

std::string FigureTable(const std::vector<Figure>& figures, const char* name, const char* detail,
                        const char* value) {
  Table table({{name, Table::Align::kLeft},
               {detail, Table::Align::kLeft},
               {"threads"},
               {value},
               {"min"},
               {"max"},
               {"runs"}});
  std::vector<std::string> notes;
  for (const Figure& figure : figures) {
    const auto threads = fmt::format("{}", figure.threads);
    if (figure.samples.empty()) {
      table.AddRow({figure.what, figure.detail, threads, "n/a", "", "", ""});
    } else {
      const Summary s = figure.summary();
      table.AddRow({figure.what, figure.detail, threads,
                    Significant(s.median) + Mark(figure.conditions), Significant(s.min),
                    Significant(s.max), fmt::format("{}", figure.samples.size())});
    }
    std::string note = fmt::format("{}: {}", figure.what, figure.reason);
    if (!figure.reason.empty() && (notes.empty() || notes.back() != note)) {
      notes.push_back(std::move(note));
    }
  }
  std::string text = table.Text();
  for (const std::string& note : notes) text += fmt::format("  {}\n", note);
  return text;
}

}  // namespace

nlohmann::json MachineJson(const MachineLimits& limits) {
  const MachineInfo info = ReadMachineInfo();
  nlohmann::json json = {{"cpu", info.cpu},
                         {"cores", info.cores},
                         {"memory_bytes", info.memory_bytes},
                         {"isa", limits.isa},
                         {"date", limits.date},
                         {"barrier", nlohmann::json::array()},
                         {"bandwidth", nlohmann::json::array()},
                         {"peak", nlohmann::json::array()}};
  for (const CacheInfo& cache : info.caches) {
    json["caches"].push_back({{"level", fmt::format("L{}", cache.level)},
                              {"type", cache.type},
                              {"bytes", cache.bytes},
                              {"sharers", cache.sharers}});
  }
  const auto bandwidth = BandwidthFigures(limits);
  for (size_t i = 0; i < bandwidth.size(); ++i) {
    nlohmann::json row = FigureJson(bandwidth[i], "level", "gb_s");
    row["working_set_bytes"] = limits.bandwidth[i].working_set_bytes;
    json["bandwidth"].push_back(std::move(row));
  }
  for (const Figure& figure : PeakFigures(limits)) {
    nlohmann::json row = FigureJson(figure, "unit", "gop_s");
    row["instruction"] = figure.detail;
    json["peak"].push_back(std::move(row));
  }
  for (const Figure& figure : BarrierFigures(limits)) {
    json["barrier"].push_back(FigureJson(figure, "what", "microseconds"));
  }
  return json;
}

MachineLimits MachineFromJson(const nlohmann::json& json) {
  MachineLimits limits;
  json.at("isa").get_to(limits.isa);
  json.at("date").get_to(limits.date);
  for (const auto& row : json.at("bandwidth")) {
    limits.bandwidth.push_back({.level = row.at("level").get<std::string>(),
                                .threads = row.at("threads").get<size_t>(),
                                .working_set_bytes = row.at("working_set_bytes").get<uint64_t>(),
                                .bytes_s = SamplesFromJson(row, kGiga),
                                .reason = ReasonFromJson(row),
                                .conditions = ConditionsOf(row)});
  }
  for (const auto& row : json.at("peak")) {
    limits.peak.push_back({.unit = row.at("unit").get<std::string>(),
                           .instruction = row.at("instruction").get<std::string>(),
                           .threads = row.at("threads").get<size_t>(),
                           .operations_s = SamplesFromJson(row, kGiga),
                           .reason = ReasonFromJson(row),
                           .conditions = ConditionsOf(row)});
  }
  for (const auto& row : json.at("barrier")) {
    limits.barrier.push_back({.threads = row.at("threads").get<size_t>(),
                              .seconds = SamplesFromJson(row, 1e-6),
                              .conditions = ConditionsOf(row)});
  }
  return limits;
}

std::string MachineTable(const MachineLimits& limits) {
  const MachineInfo info = ReadMachineInfo();
  std::string caches;
  for (const CacheInfo& cache : info.caches) {
    caches += fmt::format("{}L{} {}", caches.empty() ? "" : ", ", cache.level, Bytes(cache.bytes));
  }
  std::string text = fmt::format("{}, {} cores, {} MB memory, caches {}; loops at level {}\n\n",
                                 info.cpu, info.cores, Megabytes(info.memory_bytes),
                                 caches.empty() ? "unknown" : caches, limits.isa);
  text += FigureTable(BandwidthFigures(limits), "read from", "working set", "GB/s");
  text += '\n';
  text += FigureTable(PeakFigures(limits), "unit", "instruction", "GOP/s");
  if (!limits.barrier.empty()) {
    text += '\n';
    text += FigureTable(BarrierFigures(limits), "wait for all", "", "µs");
  }
  return text + limits.Disturbed().FootLine();
}

std::string MachineCsv(const MachineLimits& limits) {
  std::string csv = "kind,name,detail,threads,unit,median,min,max,repetitions,note,disturbed\n";
  const auto add = [&](const char* kind, const char* unit, const std::vector<Figure>& figures) {
    for (const Figure& figure : figures) {
      const Summary s = figure.summary();
      const std::string values = figure.samples.empty()
                                     ? ",,"
                                     : fmt::format("{:.6g},{:.6g},{:.6g}", s.median, s.min, s.max);
      csv += fmt::format("{},{},{},{},{},{},{},{},{}\n", kind, figure.what, CsvField(figure.detail),
                         figure.threads, unit, values, figure.samples.size(),
                         CsvField(figure.reason), CsvField(figure.conditions));
    }
  };
  add("bandwidth", "GB/s", BandwidthFigures(limits));
  add("peak", "GOP/s", PeakFigures(limits));
  add("latency", "us", BarrierFigures(limits));
  return csv;
}

}  // namespace crossover::bench

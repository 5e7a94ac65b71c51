// ModelBenchResult as JSON and as tables.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/table.h"
#include "bench/model/model.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

using nlohmann::json;
using Align = Table::Align;

std::string TestName(const SpeedResult& speed) {
  std::string name = fmt::format("{} {}", speed.test, speed.tokens);
  if (speed.sequences > 1) name += fmt::format(" × {}", speed.sequences);
  if (speed.depth > 0) name += fmt::format(" @{}", speed.depth);
  return name;
}

std::string FractionText(const SpeedResult& speed) {
  const auto fraction = speed.fraction_of_limit();
  if (!fraction) return "n/a";
  const std::vector<double> all = speed.conditions.Kept(speed.fractions());
  if (all.size() < 2) return Percent(*fraction);
  const Summary range = Summarise(all);
  return fmt::format("{} ({:.0f}–{:.0f})", Percent(*fraction), 100 * range.min, 100 * range.max);
}

std::string ModelName(const ModelBenchResult& result) {
  return std::filesystem::path(result.model).stem().string();
}

json OrNull(const auto& value) { return value ? json(*value) : json(nullptr); }

json LatencyJson(const std::vector<double>& seconds) {
  if (seconds.empty()) return nullptr;
  return {{"p50", Percentile(seconds, 0.5) * 1e3},
          {"p90", Percentile(seconds, 0.9) * 1e3},
          {"p99", Percentile(seconds, 0.99) * 1e3},
          {"samples", seconds.size()}};
}

json LoadJson(const ModelBenchResult& result) {
  json load{{"warm_seconds", result.load_seconds}, {"cold_seconds", nullptr}};
  if (result.cold) {
    load["cold_seconds"] = result.cold->seconds;
    load["cached_part_before_cold"] = OrNull(result.cold->cached_part);
  }
  return load;
}

json MemoryJson(const MemoryParts& memory) {
  return {{"mapping_bytes", OrNull(memory.mapping_bytes)},
          {"packed_bytes", memory.packed_bytes},
          {"kv_bytes", memory.kv_bytes},
          {"scratch_bytes", memory.scratch_bytes},
          {"steady_bytes", memory.total()}};
}

json RowJson(const ModelBenchResult& result, const SpeedResult& speed) {
  const Summary summary = speed.summary();
  json row{{"model", result.model},
           {"format", result.format},
           {"effective_bpw", result.effective_bpw},
           {"parameters", result.parameters},
           {"file_bytes", result.file_bytes},
           {"test", speed.test},
           {"tokens", speed.tokens},
           {"sequences", speed.sequences},
           {"depth", speed.depth},
           {"tok_s", {{"median", summary.median}, {"min", summary.min}, {"max", summary.max}}},
           {"samples", speed.samples},
           {"limit",
            {{"kind", speed.limit_kind},
             {"value", OrNull(speed.limit)},
             {"samples", speed.limits},
             {speed.limit_kind == "bandwidth" ? "bytes_per_token" : "operations_per_token",
              speed.work}}},
           {"fraction_of_limit", OrNull(speed.fraction_of_limit())},
           {"fraction_samples", speed.fractions()},
           {"disturbed", speed.conditions.disturbed()},
           {"conditions", speed.conditions},
           {"usage", speed.usage},
           {"warm_up_rounds", result.warm_up_rounds},
           {"peak_rss_bytes", OrNull(result.peak_rss_bytes)},
           {"memory", MemoryJson(result.memory)},
           {"load_seconds", result.load_seconds},
           {"load", LoadJson(result)},
           {"energy_j_per_token", OrNull(result.energy_j_per_token)},
           {"energy_reason", result.energy_reason}};
  if (!speed.limit_unit.empty()) row["limit"]["unit"] = speed.limit_unit;
  row[speed.test == "prefill" ? "ttft_ms" : "itl_ms"] = LatencyJson(speed.latencies_s);
  return row;
}

void AddLatency(Table& table, const ModelBenchResult& result, const SpeedResult& speed,
                size_t threads) {
  const auto ms = [&](double part) {
    return Significant(Percentile(speed.latencies_s, part) * 1e3);
  };
  const auto passes = static_cast<double>(std::max<size_t>(speed.latencies_s.size(), 1));
  const auto per_pass = [&](uint64_t count) {
    return Significant(static_cast<double>(count) / passes);
  };
  table.AddRow({ModelName(result), result.format, TestName(speed),
                speed.test == "prefill" ? "first token" : "each token", ms(0.5), ms(0.9), ms(0.99),
                Percent(speed.usage.Utilisation(threads)), per_pass(speed.usage.minor_faults),
                per_pass(speed.usage.major_faults),
                fmt::format("{} / {}", per_pass(speed.usage.voluntary_switches),
                            per_pass(speed.usage.involuntary_switches))});
}

void AddMemory(Table& table, const ModelBenchResult& result) {
  const MemoryParts& memory = result.memory;
  const auto cold = [&]() -> std::string {
    if (!result.cold) return "n/a";
    const std::string ms = fmt::format("{:.1f}", result.cold->seconds * 1e3);
    if (!result.cold->cached_part) return ms + " (?)";
    return *result.cold->cached_part > 0
               ? fmt::format("{} ({} cached)", ms, Percent(*result.cold->cached_part))
               : ms;
  };
  table.AddRow(
      {ModelName(result), result.format, cold(), fmt::format("{:.1f}", result.load_seconds * 1e3),
       result.peak_rss_bytes ? Megabytes(*result.peak_rss_bytes) : "n/a", Megabytes(memory.total()),
       memory.mapping_bytes ? Megabytes(*memory.mapping_bytes) : "n/a",
       Megabytes(memory.packed_bytes), Megabytes(memory.kv_bytes),
       Megabytes(memory.scratch_bytes)});
}

}  // namespace

nlohmann::json BenchJson(std::span<const ModelBenchResult> results) {
  json rows = json::array();
  for (const ModelBenchResult& result : results) {
    for (const SpeedResult* speed : result.speeds()) rows.push_back(RowJson(result, *speed));
  }
  return rows;
}

std::string BenchTable(std::span<const ModelBenchResult> results) {
  Table table({{"model", Align::kLeft},
               {"format", Align::kLeft},
               {"BPW"},
               {"MB"},
               {"test", Align::kLeft},
               {"tok/s"},
               {"min–max"},
               {"limit"},
               {"of limit"},
               {"peak RSS MB"},
               {"J/token"}});
  DisturbedCount count;
  for (const ModelBenchResult& result : results) {
    for (const SpeedResult* speed : result.speeds()) {
      const Summary summary = speed->summary();
      count.Add(speed->conditions);
      const bool first_decode = speed == &result.decode;
      table.AddRow({ModelName(result), result.format, fmt::format("{:.2f}", result.effective_bpw),
                    Megabytes(result.file_bytes), TestName(*speed),
                    Significant(summary.median) + Mark(speed->conditions),
                    Significant(summary.min) + "–" + Significant(summary.max),
                    speed->limit ? Significant(*speed->limit) : "n/a", FractionText(*speed),
                    result.peak_rss_bytes ? Megabytes(*result.peak_rss_bytes) : "n/a",
                    first_decode && result.energy_j_per_token
                        ? Significant(*result.energy_j_per_token)
                        : std::string(first_decode ? "n/a" : "")});
    }
  }
  return table.Text() + count.FootLine();
}

std::string BenchDetails(std::span<const ModelBenchResult> results, size_t threads) {
  Table latency({{"model", Align::kLeft},
                 {"format", Align::kLeft},
                 {"test", Align::kLeft},
                 {"time to", Align::kLeft},
                 {"p50 ms"},
                 {"p90"},
                 {"p99"},
                 {"CPU"},
                 {"minor faults"},
                 {"major"},
                 {"switches"}});
  Table memory({{"model", Align::kLeft},
                {"format", Align::kLeft},
                {"cold load ms"},
                {"warm"},
                {"peak RSS MB"},
                {"steady"},
                {"file"},
                {"packed"},
                {"KV"},
                {"scratch"}});
  for (const ModelBenchResult& result : results) {
    for (const SpeedResult* speed : result.speeds()) AddLatency(latency, result, *speed, threads);
    AddMemory(memory, result);
  }
  return fmt::format(
      "{}CPU: time of all {} threads; faults and switches (voluntary / not): of a prompt, of a "
      "token.\n\n{}steady: what the model holds after the tests: pages of its file, packed "
      "weights, "
      "KV pages in use, scratch.\n",
      latency.Text(), threads, memory.Text());
}

}  // namespace crossover::bench

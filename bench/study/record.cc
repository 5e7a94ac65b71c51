#include "bench/study/record.h"

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace crossover::bench {
namespace {

using nlohmann::json;

template <class T>
json OrNull(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

template <class T>
std::optional<T> Optional(const json& parent, const char* key) {
  const auto it = parent.find(key);
  if (it == parent.end() || it->is_null()) return std::nullopt;
  return it->get<T>();
}

/// JSON has no NaN: it is written as null.
double NumberOf(const json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}
double Number(const json& parent, const char* key) { return NumberOf(parent.at(key)); }

json SpeedJson(const SpeedResult& speed) {
  const Summary summary = speed.summary();
  return {{"tokens", speed.tokens},
          {"samples_tok_s", speed.samples},
          {"tok_s", {{"median", summary.median}, {"min", summary.min}, {"max", summary.max}}},
          {"limit", {{"kind", speed.limit_kind}, {"value", OrNull(speed.limit)}}},
          {"fraction_of_limit", OrNull(speed.fraction_of_limit())},
          {"disturbed", speed.conditions.disturbed()},
          {"conditions", speed.conditions}};
}

SpeedResult SpeedFromJson(const json& value, const char* test) {
  SpeedResult speed;
  speed.test = test;
  value.at("tokens").get_to(speed.tokens);
  value.at("samples_tok_s").get_to(speed.samples);
  value.at("limit").at("kind").get_to(speed.limit_kind);
  speed.limit = Optional<double>(value.at("limit"), "value");
  speed.conditions = ConditionsOf(value);
  return speed;
}

}  // namespace

std::vector<const Conditions*> Measurement::conditions() const {
  std::vector<const Conditions*> all;
  if (speed) all = {&speed->prefill.conditions, &speed->decode.conditions};
  if (crossover) {
    for (const CrossoverCell& cell : crossover->cells) all.push_back(&cell.conditions);
  }
  return all;
}

void to_json(json& out, const Measurement& m) {
  out = {{"architecture", m.architecture},
         {"parameters", m.parameters},
         {"file_bytes", m.file_bytes},
         {"effective_bpw", m.effective_bpw},
         {"isa", m.isa}};
  if (const auto& p = m.perplexity) {
    out["perplexity"] = {{"ppl", p->ppl},         {"ppl_stderr", p->ppl_stderr},
                         {"tokens", p->tokens},   {"chunks", p->chunks},
                         {"context", p->context}, {"chunk_nll", p->chunk_nll}};
    if (const auto& d = p->divergence) {
      out["perplexity"]["divergence"] = {
          {"kld", d->kld}, {"kld_stderr", d->kld_stderr}, {"same_top", d->same_top}};
    }
  }
  if (const auto& s = m.source) {
    out["source"] = {{"format", s->format}, {"effective_bpw", s->bpw}, {"quantized", s->quantized}};
  }
  if (!m.warnings.empty()) out["warnings"] = m.warnings;
  out["tasks"] = json::array();
  for (const TaskRecord& task : m.tasks) {
    out["tasks"].push_back({{"task", task.task},
                            {"metric", task.metric},
                            {"value", task.value},
                            {"stderr", task.standard_error},
                            {"n", task.n}});
  }
  if (m.crossover) out["crossover"] = *m.crossover;
  if (const auto& s = m.speed) {
    out["format"] = s->format;
    out["load_seconds"] = s->load_seconds;
    out["peak_rss_bytes"] = OrNull(s->peak_rss_bytes);
    out["energy_j_per_token"] = OrNull(s->energy_j_per_token);
    out["energy_reason"] = s->energy_reason;
    out["prefill"] = SpeedJson(s->prefill);
    out["decode"] = SpeedJson(s->decode);
  }
}

void from_json(const json& in, Measurement& m) {
  m = {};
  in.at("architecture").get_to(m.architecture);
  in.at("parameters").get_to(m.parameters);
  in.at("file_bytes").get_to(m.file_bytes);
  in.at("effective_bpw").get_to(m.effective_bpw);
  in.at("isa").get_to(m.isa);
  if (const auto it = in.find("perplexity"); it != in.end()) {
    PerplexityRecord& p = m.perplexity.emplace();
    p.ppl = Number(*it, "ppl");
    p.ppl_stderr = Number(*it, "ppl_stderr");
    it->at("tokens").get_to(p.tokens);
    it->at("chunks").get_to(p.chunks);
    it->at("context").get_to(p.context);
    if (const auto nll = it->find("chunk_nll"); nll != it->end()) {
      for (const json& mean : *nll) p.chunk_nll.push_back(NumberOf(mean));
    }
    if (const auto d = it->find("divergence"); d != it->end()) {
      p.divergence = DivergenceRecord{.kld = Number(*d, "kld"),
                                      .kld_stderr = Number(*d, "kld_stderr"),
                                      .same_top = Number(*d, "same_top")};
    }
  }
  if (const auto it = in.find("source"); it != in.end()) {
    m.source = SourceRecord{.format = it->at("format").get<std::string>(),
                            .bpw = Number(*it, "effective_bpw"),
                            .quantized = it->at("quantized").get<bool>()};
  }
  m.warnings = in.value("warnings", std::vector<std::string>());
  for (const json& task : in.at("tasks")) {
    m.tasks.push_back({.task = task.at("task").get<std::string>(),
                       .metric = task.at("metric").get<std::string>(),
                       .value = Number(task, "value"),
                       .standard_error = Number(task, "stderr"),
                       .n = task.at("n").get<size_t>()});
  }
  m.crossover = Optional<CrossoverModel>(in, "crossover");
  if (in.contains("decode")) {
    ModelBenchResult& s = m.speed.emplace();
    in.at("format").get_to(s.format);
    in.at("load_seconds").get_to(s.load_seconds);
    s.peak_rss_bytes = Optional<uint64_t>(in, "peak_rss_bytes");
    s.energy_j_per_token = Optional<double>(in, "energy_j_per_token");
    in.at("energy_reason").get_to(s.energy_reason);
    s.prefill = SpeedFromJson(in.at("prefill"), "prefill");
    s.decode = SpeedFromJson(in.at("decode"), "decode");
    s.effective_bpw = m.effective_bpw;
    s.parameters = m.parameters;
    s.file_bytes = m.file_bytes;
  }
}

void to_json(json& out, const CellRecord& r) {
  out = {{"cell", r.cell},
         {"key", r.key},
         {"run", r.run},
         {"study", r.study},
         {"model", r.model},
         {"recipe", r.recipe},
         {"status", r.ok() ? "ok" : "failed"},
         {"quantize_seconds", OrNull(r.quantize_seconds)},
         {"fallbacks", r.fallbacks},
         {"machine",
          {{"host", r.machine.host},
           {"cpu", r.machine.cpu},
           {"cores", r.machine.cores},
           {"memory_bytes", r.machine.memory_bytes},
           {"cache_bytes", r.machine.cache_bytes},
           {"limits", r.machine.limits},
           {"sharers", r.machine.sharers}}},
         {"settings", r.settings},
         {"version", r.version},
         {"date", r.date},
         {"seconds", r.seconds}};
  if (r.measurement) {
    out["measurement"] = *r.measurement;
  } else {
    out["error"] = r.error;
  }
}

void from_json(const json& in, CellRecord& r) {
  r = {};
  in.at("cell").get_to(r.cell);
  in.at("key").get_to(r.key);
  in.at("study").get_to(r.study);
  in.at("model").get_to(r.model);
  in.at("recipe").get_to(r.recipe);
  r.quantize_seconds = Optional<double>(in, "quantize_seconds");
  in.at("fallbacks").get_to(r.fallbacks);
  const json& machine = in.at("machine");
  r.machine.host = machine.value("host", "");  // records before there were ranks lack these three
  r.machine.sharers = machine.value("sharers", size_t{1});
  r.run = in.value("run", "");
  machine.at("cpu").get_to(r.machine.cpu);
  machine.at("cores").get_to(r.machine.cores);
  machine.at("memory_bytes").get_to(r.machine.memory_bytes);
  machine.at("cache_bytes").get_to(r.machine.cache_bytes);
  machine.at("limits").get_to(r.machine.limits);
  in.at("settings").get_to(r.settings);
  in.at("version").get_to(r.version);
  in.at("date").get_to(r.date);
  in.at("seconds").get_to(r.seconds);
  if (in.at("status").get<std::string>() == "ok") {
    r.measurement = in.at("measurement").get<Measurement>();
  } else {
    in.at("error").get_to(r.error);
  }
}

std::vector<CellRecord> LatestRecords(std::vector<CellRecord> records) {
  std::vector<CellRecord> latest;
  std::map<std::string, size_t> places;
  for (CellRecord& record : records) {
    const auto [it, added] = places.emplace(record.cell, latest.size());
    if (added) {
      latest.push_back(std::move(record));
    } else {
      latest[it->second] = std::move(record);
    }
  }
  return latest;
}

}  // namespace crossover::bench

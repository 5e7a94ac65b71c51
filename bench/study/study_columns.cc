#include "bench/study/study_columns.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "bench/text.h"

namespace crossover::bench {
namespace {

using Record = CellRecord;
using Getter = std::function<std::string(const Record&)>;

constexpr const char* kNone = "n/a";

std::string Field(double value) { return CsvNumber(value); }
std::string Field(size_t value) { return fmt::format("{}", value); }
std::string Field(std::string value) { return value; }
template <class T>
std::string Field(const std::optional<T>& value) {
  return value ? Field(*value) : "";
}

/// `get` of the part of a record that `part` points to, a field; empty where there is no such part.
template <class Part, class Get>
Getter FieldOf(Part part, Get get) {
  return [part, get](const Record& record) {
    const auto* where = part(record);
    return where == nullptr ? "" : Field(get(*where));
  };
}

const Record* All(const Record& record) { return &record; }
const Measurement* Measured(const Record& record) {
  return record.ok() ? &*record.measurement : nullptr;
}
const PerplexityRecord* Perplexity(const Record& record) {
  return record.ok() && record.measurement->perplexity ? &*record.measurement->perplexity : nullptr;
}
const DivergenceRecord* Divergence(const Record& record) {
  const PerplexityRecord* p = Perplexity(record);
  return p != nullptr && p->divergence ? &*p->divergence : nullptr;
}
const ModelBenchResult* Speed(const Record& record) {
  return record.ok() && record.measurement->speed ? &*record.measurement->speed : nullptr;
}

const SourceRecord* Source(const Record& record) {
  const Measurement* m = Measured(record);
  return m == nullptr || !m->source ? nullptr : &*m->source;
}

std::string PerplexityText(const Record& record) {
  const PerplexityRecord* p = Perplexity(record);
  return p == nullptr ? kNone : WithError(p->ppl, p->ppl_stderr, 2);
}

/// In thousandths of a nat.
std::string DivergenceText(const Record& record) {
  const DivergenceRecord* d = Divergence(record);
  return d == nullptr ? kNone : WithError(1000 * d->kld, 1000 * d->kld_stderr, 2);
}

std::string SameTopText(const Record& record) {
  const DivergenceRecord* d = Divergence(record);
  return d == nullptr ? kNone : fmt::format("{:.1f}", 100 * d->same_top);
}

std::string SpeedText(const SpeedResult& speed) {
  const Summary summary = speed.summary();
  return fmt::format("{}{} ({}–{})", Significant(summary.median), Mark(speed.conditions),
                     Significant(summary.min), Significant(summary.max));
}

std::string LimitText(const Record& record) {
  const ModelBenchResult* speed = Speed(record);
  const auto fraction = speed == nullptr ? std::nullopt : speed->decode.fraction_of_limit();
  if (!fraction) return kNone;
  const bool disturbed =
      speed->decode.conditions.disturbed() || !record.machine.limits.disturbed.empty();
  return Percent(*fraction) + (disturbed ? "!" : "");
}

std::string RssText(const Record& record) {
  const ModelBenchResult* speed = Speed(record);
  return speed != nullptr && speed->peak_rss_bytes ? Megabytes(*speed->peak_rss_bytes) : kNone;
}

/// Those of prefill or decode.
void AddSpeed(const std::string& name, SpeedResult ModelBenchResult::*test,
              std::vector<StudyColumn>& columns) {
  const auto part = [test](const Record& record) {
    const ModelBenchResult* speed = Speed(record);
    return speed == nullptr ? nullptr : &(speed->*test);
  };
  const auto add = [&](const char* what, const char* unit, auto get) {
    columns.push_back({.name = name + what, .unit = unit, .get = FieldOf(part, get)});
  };
  const auto share = [&](const char* what, std::optional<double> Disturbance::*which) {
    add(what, "share", [which](const SpeedResult& s) { return s.conditions.Largest().*which; });
  };
  using S = SpeedResult;
  add("_tokens", "", [](const S& s) { return s.tokens; });
  add("_tok_s", "tokens/s", [](const S& s) { return s.summary().median; });
  columns.back().title = name + " tok/s (min–max)";
  columns.back().text = [part](const Record& record) {
    const SpeedResult* speed = part(record);
    return speed == nullptr ? kNone : SpeedText(*speed);
  };
  add("_min", "tokens/s", [](const S& s) { return s.summary().min; });
  add("_max", "tokens/s", [](const S& s) { return s.summary().max; });
  add("_limit", "tokens/s", [](const S& s) { return s.limit; });
  add("_disturbed", "", [](const S& s) { return std::string(CsvField(s.conditions)); });
  add("_repetitions", "", [](const S& s) { return s.samples.size(); });
  add("_quiet_repetitions", "", [](const S& s) {
    return s.conditions.known() ? std::optional(s.conditions.quiet()) : std::nullopt;
  });
  share("_run_wait", &Disturbance::run_wait);
  share("_others", &Disturbance::others);
  share("_steal", &Disturbance::steal);
  share("_throttled", &Disturbance::throttled);
}

void AddIdentity(std::vector<StudyColumn>& columns) {
  const auto add = [&](const char* name, const char* unit, Getter get) {
    columns.push_back({.name = name, .unit = unit, .get = std::move(get)});
  };
  const auto show = [&](const char* title, Getter text, bool left = false) {
    columns.back().title = title;
    columns.back().text = std::move(text);
    columns.back().left = left;
  };
  using M = Measurement;
  add("model", "", FieldOf(All, [](const Record& r) { return r.model; }));
  show("model", columns.back().get, true);
  add("recipe", "", FieldOf(All, [](const Record& r) { return r.recipe; }));
  show("recipe", columns.back().get, true);
  add("status", "", [](const Record& r) { return std::string(r.ok() ? "ok" : "failed"); });
  add("error", "", FieldOf(All, [](const Record& r) { return r.error; }));
  add("parameters", "", FieldOf(Measured, [](const M& m) { return size_t{m.parameters}; }));
  add("effective_bpw", "bits", FieldOf(Measured, [](const M& m) { return m.effective_bpw; }));
  show("BPW", [](const Record& r) { return fmt::format("{:.2f}", r.measurement->effective_bpw); });
  add("file_bytes", "bytes", FieldOf(Measured, [](const M& m) { return size_t{m.file_bytes}; }));
  show("MB", [](const Record& r) { return Megabytes(r.measurement->file_bytes); });
}

void AddQuality(std::vector<StudyColumn>& columns) {
  using P = PerplexityRecord;
  columns.push_back({.name = "perplexity",
                     .get = FieldOf(Perplexity, [](const P& p) { return p.ppl; }),
                     .title = "perplexity",
                     .text = PerplexityText});
  columns.push_back({.name = "perplexity_stderr",
                     .get = FieldOf(Perplexity, [](const P& p) { return p.ppl_stderr; })});
  columns.push_back({.name = "perplexity_tokens",
                     .get = FieldOf(Perplexity, [](const P& p) { return p.tokens; })});
  columns.push_back({.name = "source_format",
                     .get = FieldOf(Source, [](const SourceRecord& r) { return r.format; })});
  using D = DivergenceRecord;
  columns.push_back({.name = "kld",
                     .unit = "nats",
                     .get = FieldOf(Divergence, [](const D& d) { return d.kld; }),
                     .title = "KLD ×1000",
                     .text = DivergenceText,
                     .optional = true});
  columns.push_back({.name = "kld_stderr",
                     .unit = "nats",
                     .get = FieldOf(Divergence, [](const D& d) { return d.kld_stderr; })});
  columns.push_back({.name = kTasksBehind,
                     .unit = "share",
                     .get = FieldOf(Divergence, [](const D& d) { return d.same_top; }),
                     .title = "same top %",
                     .text = SameTopText,
                     .optional = true});
}

void AddCost(std::vector<StudyColumn>& columns) {
  using B = ModelBenchResult;
  AddSpeed("prefill", &B::prefill, columns);
  AddSpeed("decode", &B::decode, columns);
  columns.push_back(
      {.name = "decode_of_limit",
       .unit = "share",
       .get = FieldOf(Speed, [](const B& speed) { return speed.decode.fraction_of_limit(); }),
       .title = "of limit",
       .text = LimitText});
  columns.push_back({.name = "peak_rss_bytes",
                     .unit = "bytes",
                     .get = FieldOf(Speed, [](const B& speed) { return speed.peak_rss_bytes; }),
                     .title = "peak RSS MB",
                     .text = RssText});
  columns.push_back({.name = "load_seconds", .unit = "s", .get = FieldOf(Speed, [](const B& speed) {
                                                            return speed.load_seconds;
                                                          })});
  columns.push_back(
      {.name = "energy_j_per_token", .unit = "J", .get = FieldOf(Speed, [](const B& speed) {
                                                    return speed.energy_j_per_token;
                                                  })});
}

void AddSettings(std::vector<StudyColumn>& columns) {
  const auto add = [&](const char* name, const char* unit, auto get) {
    columns.push_back({.name = name, .unit = unit, .get = FieldOf(All, get)});
  };
  add("quantize_seconds", "s", [](const Record& r) { return r.quantize_seconds; });
  add("fallbacks", "", [](const Record& r) { return r.fallbacks; });
  add("threads", "", [](const Record& r) { return r.settings.threads; });
  add("isa", "", [](const Record& r) { return r.ok() ? r.measurement->isa : r.settings.isa; });
  add("activations", "", [](const Record& r) { return r.settings.activations; });
  add("kv_type", "", [](const Record& r) { return r.settings.kv_type; });
  add("load", "", [](const Record& r) { return r.settings.load; });
  add("weights", "", [](const Record& r) { return r.settings.weights; });
  add("cpu", "", [](const Record& r) { return r.machine.cpu; });
  add("limits_disturbed", "", [](const Record& r) { return r.machine.limits.disturbed; });
  add("version", "", [](const Record& r) { return r.version; });
  add("date", "", [](const Record& r) { return r.date; });
}

}  // namespace

std::vector<StudyColumn> StudyColumns() {
  std::vector<StudyColumn> columns;
  AddIdentity(columns);
  AddQuality(columns);
  AddCost(columns);
  AddSettings(columns);
  return columns;
}

}  // namespace crossover::bench

#include "bench/predict/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/table.h"
#include "bench/text.h"
#include "kernels/matmul.h"

namespace crossover::bench {
namespace {

std::string TestName(const Prediction& p) {
  return p.test == "prefill" ? fmt::format("prefill {}", p.tokens)
                             : fmt::format("decode @{}", p.depth);
}

std::string ModelName(const Prediction& p) {
  return std::filesystem::path(p.model.model).filename().string();
}

TimeModel Scaled(TimeModel model, double read, double arithmetic) {
  model.read_bytes_s *= read;
  for (UnitRate& rate : model.rates) rate.operations_s *= arithmetic;
  return model;
}

PassParts SplitPass(const TimeModel& machine, const ModelWork& model, size_t tokens,
                    const PassWork& pass, const std::string& unit) {
  const PassWork products = WorkOfProducts(model, tokens);
  const UnitRate& rate = *machine.RateOf(unit);
  return {.weights_s = products.bytes / machine.read_bytes_s,
          .cache_s = (pass.bytes - products.bytes) / machine.read_bytes_s,
          .products_s = products.operations / rate.operations_s,
          .unpacking_s = rate.unpack * products.weights / rate.operations_s,
          .attention_s = (pass.operations - products.operations) / rate.operations_s,
          .fixed_s = machine.layer_s * static_cast<double>(pass.layers)};
}

std::string RangeText(const MachinePart& part) {
  if (part.range.exact()) return "as it is";
  return fmt::format("{} to {}", Significant(part.value * part.range.low),
                     Significant(part.value * part.range.high));
}

std::string PartsText(const PredictMachine& machine) {
  Table table({{"part", Table::Align::kLeft},
               {"value"},
               {"unit", Table::Align::kLeft},
               {"8 of 10", Table::Align::kLeft},
               {"range from", Table::Align::kLeft}});
  for (const MachinePart& part : PartsOf(machine)) {
    table.AddRow({part.name, Significant(part.value), part.unit, RangeText(part),
                  part.range.source.empty() ? "–" : part.range.source});
  }
  return table.Text();
}

Prediction PredictPass(const PredictMachine& machine, const ModelWork& model, size_t tokens,
                       size_t depth) {
  const PassWork work = WorkOfPass(model, tokens, depth);
  Prediction p{.model = model, .tokens = tokens, .depth = depth};
  p.unit = UnitFor(machine.model, model.quantized, tokens);
  p.communication_s = machine.model.Communication(work);
  p.computation_s = machine.model.Computation(work, p.unit);
  p.fixed_s = machine.model.layer_s * static_cast<double>(work.layers);
  p.seconds = machine.model.Seconds(work, p.unit);
  p.parts = SplitPass(machine.model, model, tokens, work, p.unit);
  // Slow where the numbers are low, all at once: they are of one machine, and err together.
  p.low_tok_s =
      machine.whole.low * static_cast<double>(tokens) /
      Scaled(machine.model, machine.read.low, machine.arithmetic.low).Seconds(work, p.unit);
  p.high_tok_s =
      machine.whole.high * static_cast<double>(tokens) /
      Scaled(machine.model, machine.read.high, machine.arithmetic.high).Seconds(work, p.unit);
  p.memory_bytes = static_cast<double>(model.file_bytes) +
                   model.kv_bytes_per_token * static_cast<double>(tokens + depth);
  p.fits = machine.memory_bytes == 0 || p.memory_bytes <= machine.memory_bytes;
  return p;
}

}  // namespace

std::string UnitFor(const TimeModel& model, bool quantized, size_t tokens) {
  const bool few = tokens <= kernels::kMaxGemvTokens;
  std::vector<std::string> order;
  if (!few) order.emplace_back("amx_bf16");
  if (quantized) order.emplace_back("int8_dot");
  order.emplace_back("f32_fma");
  for (const std::string& unit : order) {
    const UnitRate* rate = model.RateOf(unit);
    if (rate != nullptr && !rate->unit.empty()) return unit;
  }
  // One rate for all, or a unit that was fitted alone.
  return model.rates.empty() ? "" : model.rates.front().unit;
}

std::optional<double> PredictedChange(const TimeModel& model, const ModelWork& work) {
  constexpr size_t kMost = 65536;
  std::vector<BoundPoint> points;
  for (size_t tokens = 1; tokens <= kMost; tokens += tokens < 128 ? 1 : tokens / 64) {
    const PassWork pass = WorkOfProducts(work, tokens);
    points.emplace_back(static_cast<double>(tokens),
                        model.Communication(pass) /
                            model.Computation(pass, UnitFor(model, work.quantized, tokens)));
  }
  return BoundChange(std::move(points));
}

std::string_view Prediction::bound() const {
  const double longest = std::max({communication_s, computation_s, fixed_s});
  if (longest == communication_s) return "communication";
  return longest == computation_s ? "computation" : "fixed";
}

std::string_view Prediction::bounded_by() const {
  std::vector<PassParts::Named> of_bound;
  const std::vector<PassParts::Named> all = parts.named();
  if (bound() == "communication") of_bound = {all[0], all[1]};
  if (bound() == "computation") of_bound = {all[2], all[3], all[4]};
  if (of_bound.empty()) return all.back().name;
  return std::max_element(of_bound.begin(), of_bound.end(),
                          [](const auto& a, const auto& b) { return a.seconds < b.seconds; })
      ->name;
}

std::vector<PassParts::Named> PassParts::named() const {
  return {{"reading weights", "reading_weights_s", weights_s},
          {"reading the cache", "reading_cache_s", cache_s},
          {"multiplying", "multiplying_s", products_s},
          {"unpacking", "unpacking_s", unpacking_s},
          {"attention", "attention_s", attention_s},
          {"fixed", "fixed_s", fixed_s}};
}

std::vector<MachinePart> PartsOf(const PredictMachine& machine) {
  const TimeModel& model = machine.model;
  std::vector<MachinePart> parts;
  const auto add = [&](const std::string& name, double value, const char* unit,
                       const Factor& range) {
    MachinePart& part = parts.emplace_back();
    part.name = name;
    part.value = value;
    part.unit = unit;
    part.range = range;
    part.source = machine.source;
  };
  const Factor exact;
  add("read rate", model.read_bytes_s / 1e9, "GB/s", machine.read);
  for (const UnitRate& rate : model.rates) {
    const std::string of = rate.unit.empty() ? "" : " " + rate.unit;
    add("arithmetic" + of, rate.operations_s / 1e9, "GOP/s", machine.arithmetic);
    add("unpacking" + of, rate.unpack, "operations a weight and pass", exact);
  }
  add("fixed", model.layer_s * 1e6, "µs a layer and pass", exact);
  add("overlap", model.overlapped ? 1 : 0,
      "of the shorter of reading and computing hides behind the longer", exact);
  add("all together", 1, "of the predicted speed", machine.whole);
  return parts;
}

std::vector<Prediction> Predict(const PredictMachine& machine, std::span<const ModelWork> models,
                                const PredictTests& tests) {
  std::vector<Prediction> predictions;
  for (const ModelWork& model : models) {
    const auto change = PredictedChange(machine.model, model);
    const auto add = [&](const char* test, size_t tokens, size_t depth) {
      Prediction p = PredictPass(machine, model, tokens, depth);
      p.test = test;
      p.tokens_at_change = change;
      predictions.push_back(std::move(p));
    };
    for (const size_t tokens : tests.prefill) add("prefill", tokens, 0);
    for (const size_t depth : tests.decode) add("decode", 1, depth);
  }
  return predictions;
}

nlohmann::json PredictJson(const PredictMachine& machine, std::span<const Prediction> predictions) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Prediction& p : predictions) {
    nlohmann::json row{{"model", p.model.model},
                       {"format", p.model.format},
                       {"effective_bpw", p.model.effective_bpw},
                       {"parameters", p.model.parameters},
                       {"test", p.test},
                       {"tokens", p.tokens},
                       {"depth", p.depth},
                       {"memory_bytes", p.memory_bytes},
                       {"fits", p.fits},
                       {"unit", p.unit},
                       {"tok_s", nullptr},
                       {"low_tok_s", nullptr},
                       {"high_tok_s", nullptr},
                       {"bound", nullptr},
                       {"bounded_by", nullptr},
                       {"tokens_at_change", nullptr}};
    if (p.fits) {
      row["tok_s"] = p.tok_s();
      row["seconds"] = p.seconds;
      row["communication_s"] = p.communication_s;
      row["computation_s"] = p.computation_s;
      row["fixed_s"] = p.fixed_s;
      row["bound"] = p.bound();
      row["bounded_by"] = p.bounded_by();
      row["low_tok_s"] = p.low_tok_s;
      row["high_tok_s"] = p.high_tok_s;
      for (const auto& part : p.parts.named()) row["parts"][part.key] = part.seconds;
      if (p.tokens_at_change) row["tokens_at_change"] = *p.tokens_at_change;
    }
    rows.push_back(std::move(row));
  }
  nlohmann::json parts = nlohmann::json::array();
  for (const MachinePart& part : PartsOf(machine)) {
    parts.push_back({{"part", part.name},
                     {"value", part.value},
                     {"unit", part.unit},
                     {"low", part.value * part.range.low},
                     {"high", part.value * part.range.high},
                     {"range_from", part.range.source},
                     {"source", part.source}});
  }
  return {{"prediction", true},       {"machine", machine.name},
          {"source", machine.source}, {"memory_bytes", machine.memory_bytes},
          {"model", machine.model},   {"parts", parts},
          {"predictions", rows}};
}

std::string PredictTable(const PredictMachine& machine, std::span<const Prediction> predictions) {
  Table table({{"model", Table::Align::kLeft},
               {"format", Table::Align::kLeft},
               {"BPW"},
               {"MB"},
               {"test", Table::Align::kLeft},
               {"tok/s"},
               {"8 of 10", Table::Align::kLeft},
               {"bounded by", Table::Align::kLeft},
               {"read ms"},
               {"compute ms"},
               {"changes at"}});
  for (const Prediction& p : predictions) {
    std::vector<std::string> row{ModelName(p), p.model.format,
                                 fmt::format("{:.2f}", p.model.effective_bpw),
                                 Megabytes(static_cast<uint64_t>(p.memory_bytes)), TestName(p)};
    if (p.fits) {
      for (std::string cell :
           {Significant(p.tok_s()),
            fmt::format("{} to {}", Significant(p.low_tok_s), Significant(p.high_tok_s)),
            std::string(p.bounded_by()), Significant(p.communication_s * 1e3),
            Significant(p.computation_s * 1e3),
            p.tokens_at_change ? Significant(*p.tokens_at_change) : std::string("–")}) {
        row.push_back(std::move(cell));
      }
    } else {
      for (const char* cell : {"n/a", "", "does not fit", "", "", ""}) row.emplace_back(cell);
    }
    table.AddRow(std::move(row));
  }
  return fmt::format(
      "{}\nA PREDICTION, nothing of it was measured on that machine: time = {} of reading and "
      "computing, and\nwhat is fixed. tok/s: by the parts' values; 8 of 10: between these lie "
      "eight of ten true speeds, if the\nparts' ranges hold. MB: weights and KV cache{}. changes "
      "at: tokens a pass from which computing takes\nlonger than reading.\n\n{}\n{}: {}\n",
      table.Text(), machine.model.overlapped ? "the longer" : "the sum",
      machine.memory_bytes > 0
          ? fmt::format(", of {} there", Megabytes(static_cast<uint64_t>(machine.memory_bytes)))
          : "",
      PartsText(machine), machine.name, machine.source);
}

std::string PredictCsv(const PredictMachine& machine, std::span<const Prediction> predictions) {
  std::string csv =
      "machine,model,format,effective_bpw,parameters,test,tokens,depth,memory_bytes,fits,"
      "predicted_tok_s,bound,communication_s,computation_s,fixed_s,tokens_at_change,low_tok_s,"
      "high_tok_s,bounded_by\n";
  for (const Prediction& p : predictions) {
    csv +=
        fmt::format("{},{},{},{:.4f},{},{},{},{},{:.0f},{}", CsvField(machine.name),
                    CsvField(p.model.model), CsvField(p.model.format), p.model.effective_bpw,
                    p.model.parameters, p.test, p.tokens, p.depth, p.memory_bytes, p.fits ? 1 : 0);
    if (p.fits) {
      csv += fmt::format(",{:.6g},{},{:.6g},{:.6g},{:.6g},{},{:.6g},{:.6g},{}\n", p.tok_s(),
                         p.bound(), p.communication_s, p.computation_s, p.fixed_s,
                         p.tokens_at_change ? fmt::format("{:.4g}", *p.tokens_at_change) : "",
                         p.low_tok_s, p.high_tok_s, p.bounded_by());
    } else {
      csv += ",,,,,,,,,\n";
    }
  }
  return csv;
}

}  // namespace crossover::bench

#include "bench/predict/engine_predict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/table.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

std::string ModelName(const EnginePrediction& p) {
  return std::filesystem::path(p.model.model).filename().string();
}

std::set<std::string> Formats(const EngineProfile& profile, const std::string& engine) {
  std::set<std::string> formats;
  for (const auto& [key, cycles] : profile.unpack) {
    if (key.first == engine) formats.insert(key.second);
  }
  return formats;
}

void CheckEngine(const EngineProfile& profile, const std::string& engine) {
  std::set<std::string> engines;
  for (const auto& [key, cycles] : profile.unpack) engines.insert(key.first);
  if (engines.contains(engine)) return;
  throw Error(ErrorCode::kNotFound,
              fmt::format("no speeds are known of the engine '{}'; of these there are: {}", engine,
                          fmt::join(engines, ", ")));
}

const PublishedMachine& FindMachine(const Published& published, const std::string& name) {
  if (const PublishedMachine* machine = published.FindMachine(name)) return *machine;
  std::vector<std::string> usable;
  for (const PublishedMachine& machine : published.machines) {
    if (machine.clock_hz > 0 && machine.simd_bits > 0) usable.push_back(machine.name);
  }
  throw Error(ErrorCode::kNotFound, fmt::format("no machine '{}' is in the collection; known: {}",
                                                name, fmt::join(usable, ", ")));
}

/// Of a machine alone: rate, unit and clock.
SpeedCase MachineCase(const Published& published, const EngineQuestion& question) {
  const PublishedMachine& machine = FindMachine(published, question.machine);
  const PublishedSpeed speed{
      .machine = machine.name, .engine = question.engine, .threads = question.threads.value_or(0)};
  SpeedCase c = CaseOf(published, speed, SpeedTest::kDecode);
  if (question.read_bytes_s) {
    c.read_bytes_s = *question.read_bytes_s;
    c.rate_kind = RateKind::kMeasured;
  }
  if (c.read_bytes_s > 0 && c.unit_cycles_s > 0) return c;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: {}", machine.name,
                  c.read_bytes_s > 0 ? "its clock, cores or vector units are not in the collection"
                                     : "no rate of its memory is published; give --bandwidth"));
}

class Predictor {
 public:
  Predictor(const Published& published, const SpeedCheck& check, const EngineQuestion& question)
      : check_(check), question_(question), machine_(MachineCase(published, question)) {}

  EnginePrediction Decode(const ModelWork& model, size_t depth) const {
    const PassWork work = WorkOfPass(model, 1, depth);
    SpeedCase c = Case(model);
    c.bytes = work.bytes;
    EnginePrediction p = Begin(model, SpeedTest::kDecode);
    p.depth = depth;
    const auto parts = check_.profile.Decode(c);
    if (!parts) RefuseFormat(model);
    p.parts = *parts;
    p.bound = parts->bound();
    return WithSpread(std::move(p), parts->seconds, c.rate_kind);
  }

  std::optional<EnginePrediction> Prefill(const ModelWork& model) const {
    const auto seconds = check_.profile.Prefill(Case(model));
    if (!seconds) return std::nullopt;
    EnginePrediction p = Begin(model, SpeedTest::kPrefill);
    p.bound = "computing";
    return WithSpread(std::move(p), *seconds, RateKind::kNone);
  }

 private:
  EnginePrediction Begin(const ModelWork& model, SpeedTest test) const {
    return {.model = model,
            .test = test,
            .rate_kind = machine_.rate_kind,
            .read_bytes_s = machine_.read_bytes_s};
  }

  SpeedCase Case(const ModelWork& model) const {
    SpeedCase c = machine_;
    c.format = FormatClass(model.format);
    c.weights = model.layer_weights + model.output_weights;
    c.layers = model.layers;
    return c;
  }

  EnginePrediction WithSpread(EnginePrediction p, double seconds, RateKind kind) const {
    const auto [low, high] = check_.Spread(p.test, kind);
    p.tok_s = 1 / seconds;
    p.low_tok_s = low / seconds;
    p.high_tok_s = high / seconds;
    return p;
  }

  [[noreturn]] void RefuseFormat(const ModelWork& model) const {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("no speed of {} with {} is published; there are: {}", question_.engine,
                    model.format, fmt::join(Formats(check_.profile, question_.engine), ", ")));
  }

  const SpeedCheck& check_;
  const EngineQuestion& question_;
  SpeedCase machine_;
};

}  // namespace

std::vector<EnginePrediction> PredictEngine(const Published& published, const SpeedCheck& check,
                                            const EngineQuestion& question,
                                            std::span<const ModelWork> models) {
  CheckEngine(check.profile, question.engine);
  const Predictor predictor(published, check, question);
  std::vector<EnginePrediction> predictions;
  for (const ModelWork& model : models) {
    if (auto prefill = predictor.Prefill(model)) predictions.push_back(*std::move(prefill));
    for (const size_t depth : question.depths) {
      predictions.push_back(predictor.Decode(model, depth));
    }
  }
  return predictions;
}

std::string EngineTable(const EngineQuestion& question,
                        std::span<const EnginePrediction> predictions) {
  Table table({{"model", Table::Align::kLeft},
               {"format", Table::Align::kLeft},
               {"BPW"},
               {"test", Table::Align::kLeft},
               {"tok/s"},
               {"8 of 10", Table::Align::kLeft},
               {"bound", Table::Align::kLeft},
               {"read ms"},
               {"unpack ms"}});
  for (const EnginePrediction& p : predictions) {
    const bool decode = p.test == SpeedTest::kDecode;
    table.AddRow({ModelName(p), p.model.format, fmt::format("{:.2f}", p.model.effective_bpw),
                  decode ? fmt::format("decode @{}", p.depth) : "prefill", Significant(p.tok_s),
                  IntervalText(p.low_tok_s, p.high_tok_s), p.bound,
                  decode ? Significant(p.parts.reading_s * 1e3) : "",
                  decode ? Significant(p.parts.unpacking_s * 1e3) : ""});
  }
  const EnginePrediction& first = predictions.front();
  return fmt::format(
      "{}\nA PREDICTION of {} on {}, from what is published of both; its memory read at {} GB/s "
      "({}).\n8 of 10: between these lay eight of ten speeds of machines that the profile was not "
      "fitted to\n(crossover predict --check).\n",
      table.Text(), question.engine, question.machine, Significant(first.read_bytes_s / 1e9),
      question.read_bytes_s ? "as given" : RateKindName(first.rate_kind));
}

std::string EngineCsv(const EngineQuestion& question,
                      std::span<const EnginePrediction> predictions) {
  std::string csv =
      "machine,engine,model,format,effective_bpw,parameters,test,depth,rate,read_bytes_s,"
      "predicted_tok_s,low_tok_s,high_tok_s,bound,reading_s,unpacking_s,fixed_s\n";
  for (const EnginePrediction& p : predictions) {
    csv += fmt::format(
        "{},{},{},{},{:.4f},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{},{:.6g},{:.6g},"
        "{:.6g}\n",
        CsvField(question.machine), CsvField(question.engine), CsvField(p.model.model),
        CsvField(p.model.format), p.model.effective_bpw, p.model.parameters, SpeedTestName(p.test),
        p.depth, RateKindName(p.rate_kind), p.read_bytes_s, p.tok_s, p.low_tok_s, p.high_tok_s,
        p.bound, p.parts.reading_s, p.parts.unpacking_s, p.parts.fixed_s);
  }
  return csv;
}

nlohmann::json EngineJson(const EngineQuestion& question,
                          std::span<const EnginePrediction> predictions) {
  nlohmann::json rows = nlohmann::json::array();
  for (const EnginePrediction& p : predictions) {
    rows.push_back({{"model", p.model.model},
                    {"format", p.model.format},
                    {"effective_bpw", p.model.effective_bpw},
                    {"parameters", p.model.parameters},
                    {"test", SpeedTestName(p.test)},
                    {"depth", p.depth},
                    {"tok_s", p.tok_s},
                    {"low_tok_s", p.low_tok_s},
                    {"high_tok_s", p.high_tok_s},
                    {"bound", p.bound},
                    {"reading_s", p.parts.reading_s},
                    {"unpacking_s", p.parts.unpacking_s},
                    {"fixed_s", p.parts.fixed_s}});
  }
  const EnginePrediction& first = predictions.front();
  return {{"prediction", true},
          {"machine", question.machine},
          {"engine", question.engine},
          {"rate", RateKindName(first.rate_kind)},
          {"read_bytes_s", first.read_bytes_s},
          {"predictions", rows}};
}

}  // namespace crossover::bench

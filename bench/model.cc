#include "bench/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string_view>

#include "base/interrupt.h"
#include "base/table.h"
#include "bench/text.h"
#include "engine/sequence.h"

namespace crossover::bench {
namespace {

constexpr uint64_t kSeed = 20250;
constexpr double kMinimumSeconds = 0.05;

template <class Work>
double Seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

size_t PassesToFill(double seconds, double pass) {
  if (pass >= seconds) return 1;
  constexpr double kMost = 1000;
  return static_cast<size_t>(std::ceil(std::min(seconds / std::max(pass, 1e-9), kMost)));
}

std::string TestName(const SpeedResult& speed) {
  const std::string name = fmt::format("{} {}", speed.test, speed.tokens);
  return speed.sequences == 1 ? name : fmt::format("{} × {}", name, speed.sequences);
}

double Elements(const kernels::Matrix& matrix) {
  return static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
}

}  // namespace

std::string DominantFormat(const engine::GgufFile& file) {
  std::map<quant::Format, uint64_t> weights;
  for (const engine::GgufTensor& tensor : file.tensors()) {
    weights[tensor.format] += tensor.elements();
  }
  if (weights.empty()) return "none";
  const auto most = std::max_element(weights.begin(), weights.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return std::string(quant::Info(most->first).name);
}

std::vector<const SpeedResult*> ModelBenchResult::speeds() const {
  std::vector<const SpeedResult*> all{&prefill, &decode};
  if (together) all.push_back(&*together);
  return all;
}

std::optional<double> SpeedResult::fraction_of_limit() const {
  if (!limit || samples.empty()) return std::nullopt;
  return summary().median / *limit;
}

ModelBench::ModelBench(const std::filesystem::path& path, const Settings& settings,
                       const SpeedMetric& speed)
    : speed_(speed) {
  engine::EngineOptions options = settings.engine_options();
  const size_t page = options.page_tokens;
  const size_t decode_pages = (speed.decode + page - 1) / page;
  options.kv_capacity = std::max(speed.prefill, speed.sequences * decode_pages * page);
  options.max_batch = std::max(std::min(options.max_batch, speed.prefill), speed.sequences);
  load_seconds_ = Seconds([&] {
    model_ = engine::Model::Load(path, settings.model_options());
    engine_ = std::make_unique<engine::Engine>(model_, options);
  });
  std::mt19937_64 random(kSeed);
  std::uniform_int_distribution<engine::TokenId> any(
      0, static_cast<engine::TokenId>(model_->config().vocab) - 1);
  ids_.resize(std::max(speed.prefill, speed.decode + speed.sequences));
  for (engine::TokenId& id : ids_) id = any(random);
  prefill_ = {.test = "prefill", .tokens = speed.prefill, .limit_kind = "arithmetic"};
  decode_ = {.test = "decode", .tokens = speed.decode, .limit_kind = "bandwidth"};
  if (speed.sequences > 1) {
    together_ = decode_;
    together_->sequences = speed.sequences;
  }
}

void ModelBench::Prefill() {
  const engine::ScopedSequence sequence(*engine_);
  engine::Prefill(*engine_, sequence.id(), std::span(ids_).first(speed_.prefill));
}

void ModelBench::Decode(size_t sequences) {
  std::vector<engine::ScopedSequence> alive;
  std::vector<engine::Chunk> batch;
  for (size_t s = 0; s < sequences; ++s) {
    batch.push_back({.sequence = alive.emplace_back(*engine_).id(), .tokens = {}});
  }
  for (size_t i = 0; i < speed_.decode; ++i) {
    for (size_t s = 0; s < sequences; ++s) batch[s].tokens = std::span(ids_).subspan(i + s, 1);
    engine_->Forward(batch);
  }
}

void ModelBench::WarmUp() {
  // The first pass pays for page faults; the second tells how long one takes.
  Prefill();
  prefill_passes_ = PassesToFill(kMinimumSeconds, Seconds([&] { Prefill(); }));
  Decode(1);
  decode_passes_ = PassesToFill(kMinimumSeconds, Seconds([&] { Decode(1); }));
  if (!together_) return;
  Decode(speed_.sequences);
  together_passes_ = PassesToFill(kMinimumSeconds, Seconds([&] { Decode(speed_.sequences); }));
}

void ModelBench::Repeat() {
  ThrowIfInterrupted();
  const double prefill = Seconds([&] {
    for (size_t pass = 0; pass < prefill_passes_; ++pass) Prefill();
  });
  prefill_.samples.push_back(static_cast<double>(speed_.prefill * prefill_passes_) / prefill);
  energy_.Start();
  const double decode = Seconds([&] {
    for (size_t pass = 0; pass < decode_passes_; ++pass) Decode(1);
  });
  decode_joules_ += energy_.Stop().value_or(0);
  decode_.samples.push_back(static_cast<double>(speed_.decode * decode_passes_) / decode);
  if (!together_) return;
  const double together = Seconds([&] {
    for (size_t pass = 0; pass < together_passes_; ++pass) Decode(speed_.sequences);
  });
  const size_t tokens = speed_.sequences * speed_.decode * together_passes_;
  together_->samples.push_back(static_cast<double>(tokens) / together);
}

double ModelBench::DecodeLimit(double read_bytes_s, size_t sequences) const {
  const size_t kv_bytes = engine_->kv().layout().bytes_per_token();
  return static_cast<double>(sequences) * read_bytes_s /
         DecodeBytes(*model_, kv_bytes, speed_.decode, sequences);
}

ModelBenchResult ModelBench::Result(const Limits& limits) const {
  const engine::GgufFile& file = model_->file();
  ModelBenchResult result{.model = file.path(),
                          .format = DominantFormat(file),
                          .effective_bpw = engine::EffectiveBpw(file),
                          .parameters = model_->parameters(),
                          .file_bytes = file.file_bytes(),
                          .load_seconds = load_seconds_,
                          .energy_reason = energy_.reason(),
                          .prefill = prefill_,
                          .decode = decode_,
                          .together = together_};
  if (limits.flops_s) {
    result.prefill.limit = *limits.flops_s * static_cast<double>(speed_.prefill) /
                           PrefillOperations(*model_, speed_.prefill);
  }
  if (limits.read_bytes_s) {
    result.decode.limit = DecodeLimit(*limits.read_bytes_s, 1);
    if (together_) result.together->limit = DecodeLimit(*limits.read_bytes_s, speed_.sequences);
  }
  const size_t decoded = speed_.decode * decode_passes_ * decode_.samples.size();
  if (energy_.reason().empty() && decoded > 0) {
    result.energy_j_per_token = decode_joules_ / static_cast<double>(decoded);
  }
  return result;
}

std::vector<ModelBenchResult> BenchModels(std::span<const std::filesystem::path> paths,
                                          const Settings& settings, const SpeedMetric& speed,
                                          const Limits& limits, const BenchProgress& progress) {
  std::vector<std::unique_ptr<ModelBench>> benches;
  for (const auto& path : paths) {
    benches.push_back(std::make_unique<ModelBench>(path, settings, speed));
  }
  for (auto& bench : benches) bench->WarmUp();
  const size_t total = speed.repetitions * benches.size();
  size_t done = 0;
  for (size_t round = 0; round < speed.repetitions; ++round) {
    for (auto& bench : benches) {
      bench->Repeat();
      if (progress) progress(++done, total);
    }
  }
  std::vector<ModelBenchResult> results;
  for (const auto& bench : benches) results.push_back(bench->Result(limits));
  return results;
}

double DecodeBytes(const engine::Model& model, size_t kv_bytes_per_token, size_t tokens,
                   size_t sequences) {
  // The token at depth i reads i + 1 cached tokens: (tokens + 1) / 2 on average.
  const double depth = (static_cast<double>(tokens) + 1) / 2;
  return static_cast<double>(model.bytes_per_token()) +
         static_cast<double>(sequences * kv_bytes_per_token) * depth;
}

double PrefillOperations(const engine::Model& model, size_t tokens) {
  double weights = 0;
  for (const engine::LayerWeights& layer : model.weights().layers) {
    for (const kernels::Matrix* matrix : {&layer.q, &layer.k, &layer.v, &layer.attention_out,
                                          &layer.gate, &layer.up, &layer.down}) {
      weights += Elements(*matrix);
    }
  }
  return 2 * (weights * static_cast<double>(tokens) + Elements(model.weights().output));
}

nlohmann::json BenchJson(std::span<const ModelBenchResult> results) {
  const auto or_null = [](const auto& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
  };
  nlohmann::json rows = nlohmann::json::array();
  for (const ModelBenchResult& result : results) {
    for (const SpeedResult* speed : result.speeds()) {
      const Summary summary = speed->summary();
      rows.push_back(
          {{"model", result.model},
           {"format", result.format},
           {"effective_bpw", result.effective_bpw},
           {"parameters", result.parameters},
           {"file_bytes", result.file_bytes},
           {"test", speed->test},
           {"tokens", speed->tokens},
           {"sequences", speed->sequences},
           {"tok_s", {{"median", summary.median}, {"min", summary.min}, {"max", summary.max}}},
           {"samples", speed->samples},
           {"limit", {{"kind", speed->limit_kind}, {"value", or_null(speed->limit)}}},
           {"fraction_of_limit", or_null(speed->fraction_of_limit())},
           {"peak_rss_bytes", or_null(result.peak_rss_bytes)},
           {"load_seconds", result.load_seconds},
           {"energy_j_per_token", or_null(result.energy_j_per_token)},
           {"energy_reason", result.energy_reason}});
    }
  }
  return rows;
}

std::string BenchTable(std::span<const ModelBenchResult> results) {
  using Align = Table::Align;
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
               {"load ms"},
               {"J/token"}});
  for (const ModelBenchResult& result : results) {
    for (const SpeedResult* speed : result.speeds()) {
      const Summary summary = speed->summary();
      const bool decode = speed->test == "decode";
      table.AddRow({std::filesystem::path(result.model).stem().string(), result.format,
                    fmt::format("{:.2f}", result.effective_bpw), Megabytes(result.file_bytes),
                    TestName(*speed), Significant(summary.median),
                    Significant(summary.min) + "–" + Significant(summary.max),
                    speed->limit ? Significant(*speed->limit) : "n/a",
                    speed->limit ? Percent(*speed->fraction_of_limit()) : "n/a",
                    result.peak_rss_bytes ? Megabytes(*result.peak_rss_bytes) : "n/a",
                    fmt::format("{:.1f}", result.load_seconds * 1e3),
                    decode && speed->sequences == 1 && result.energy_j_per_token
                        ? Significant(*result.energy_j_per_token)
                        : std::string(decode ? "n/a" : "")});
    }
  }
  return table.Text();
}

}  // namespace crossover::bench

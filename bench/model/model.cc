#include "bench/model/model.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <string_view>
#include <thread>

#include "base/interrupt.h"
#include "engine/model/matrices.h"
#include "engine/run/sequence.h"
#include "kernels/choice.h"

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
  std::vector<const SpeedResult*> all;
  for (const SpeedResult* speed : {&prefill, &decode}) {
    if (speed->tokens > 0) all.push_back(speed);
  }
  if (together) all.push_back(&*together);
  for (const SpeedResult& speed : more) all.push_back(&speed);
  return all;
}

std::vector<double> SpeedResult::fractions() const {
  std::vector<double> all(std::min(samples.size(), limits.size()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = samples[i] / limits[i];
  return all;
}

std::optional<double> SpeedResult::fraction_of_limit() const {
  if (const auto all = conditions.Kept(fractions()); !all.empty()) return Summarise(all).median;
  if (!limit || samples.empty()) return std::nullopt;
  return summary().median / *limit;
}

ModelBench::ModelBench(const std::filesystem::path& path, const Settings& settings,
                       const SpeedMetric& speed, const MoreTests& more)
    : speed_(speed), activations_(settings.engine_options().activations), watch_(settings.threads) {
  AddTests(more);
  engine::EngineOptions options = settings.engine_options();
  const auto pages = [&](size_t tokens) {
    return (tokens + options.page_tokens - 1) / options.page_tokens * options.page_tokens;
  };
  size_t longest = 0;
  size_t deepest = 0;
  for (const Test& test : tests_) {
    const SpeedResult& r = test.result;
    // A page of the deep sequence is copied before it is written to.
    longest = std::max(longest, r.sequences * (pages(r.tokens) + options.page_tokens));
    deepest = std::max(deepest, r.depth);
  }
  options.kv_capacity = longest + pages(deepest);
  options.max_batch =
      std::max(std::min(options.max_batch, std::max(speed.prefill, longest)), speed.sequences);
  const auto load = [&] {
    return Seconds([&] {
      engine_.reset();
      model_ = engine::Model::Load(path, settings.model_options());
      engine_ = std::make_unique<engine::Engine>(model_, options);
    });
  };
  if (more.cold_load) {
    cold_ = ColdLoad{.cached_part = DropFromPageCache(path)};
    cold_->seconds = load();
    engine_.reset();
    model_.reset();
  }
  load_seconds_ = load();
  for (Test& test : tests_) {
    SpeedResult& r = test.result;
    r.work = Work(r);
    if (r.test == "prefill") r.limit_unit = PrefillUnit(r.tokens);
  }
  std::mt19937_64 random(kSeed);
  std::uniform_int_distribution<engine::TokenId> any(
      0, static_cast<engine::TokenId>(model_->config().vocab) - 1);
  ids_.resize(std::max(longest, deepest) + speed.sequences);
  for (engine::TokenId& id : ids_) id = any(random);
  if (deepest > 0) {
    deep_.emplace(*engine_);
    engine::Prefill(*engine_, deep_->id(), std::span(ids_).first(deepest));
  }
}

void ModelBench::AddTests(const MoreTests& more) {
  const auto add = [&](const char* test, size_t tokens, size_t sequences, size_t depth) {
    if (tokens == 0) return;  // not asked for
    tests_.push_back({.result = {.test = test, .tokens = tokens}});
    SpeedResult& result = tests_.back().result;
    result.limit_kind = std::string_view(test) == "prefill" ? "arithmetic" : "bandwidth";
    result.sequences = sequences;
    result.depth = depth;
    result.conditions.asked = speed_.repetitions;
  };
  add("prefill", speed_.prefill, 1, 0);
  add("decode", speed_.decode, 1, more.depths.empty() ? 0 : more.depths.front());
  if (speed_.sequences > 1) add("decode", speed_.decode, speed_.sequences, 0);
  for (const size_t tokens : more.prefills) {
    if (tokens != speed_.prefill) add("prefill", tokens, 1, 0);
  }
  for (size_t i = 1; i < more.depths.size(); ++i) add("decode", speed_.decode, 1, more.depths[i]);
}

void ModelBench::Prefill(size_t tokens, std::vector<double>& latencies) {
  const engine::ScopedSequence sequence(*engine_);
  latencies.push_back(Seconds([&] {
    const engine::Logits logits =
        engine::Prefill(*engine_, sequence.id(), std::span(ids_).first(tokens));
    const auto row = logits.row(logits.rows - 1);
    volatile auto chosen = std::max_element(row.begin(), row.end()) - row.begin();
    (void)chosen;
  }));
  kv_bytes_ = std::max<uint64_t>(kv_bytes_, engine_->kv().bytes_in_use());
}

void ModelBench::Decode(size_t sequences, size_t depth, std::vector<double>& latencies) {
  std::vector<engine::ScopedSequence> alive;
  std::vector<engine::Chunk> batch;
  for (size_t s = 0; s < sequences; ++s) {
    if (depth > 0) {
      alive.emplace_back(*engine_, engine_->Fork(deep_->id(), depth));
    } else {
      alive.emplace_back(*engine_);
    }
    batch.push_back({.sequence = alive.back().id(), .tokens = {}});
  }
  for (size_t i = 0; i < speed_.decode; ++i) {
    for (size_t s = 0; s < sequences; ++s) batch[s].tokens = std::span(ids_).subspan(i + s, 1);
    latencies.push_back(Seconds([&] { engine_->Forward(batch); }));
  }
  kv_bytes_ = std::max<uint64_t>(kv_bytes_, engine_->kv().bytes_in_use());
}

void ModelBench::Run(const Test& test, std::vector<double>& latencies) {
  const SpeedResult& r = test.result;
  if (r.test == "prefill") {
    Prefill(r.tokens, latencies);
  } else {
    Decode(r.sequences, r.depth, latencies);
  }
}

void ModelBench::WarmUp() {
  constexpr size_t kLeastRounds = 2;  // the first pays for page faults; the second tells how long
  constexpr size_t kMostRounds = 6;
  constexpr double kStable = 0.95;
  constexpr double kLongSeconds = 0.5;
  if (energy_.reason().empty()) {
    constexpr auto kIdle = std::chrono::milliseconds(500);
    energy_.Start();
    const double seconds = Seconds([&] { std::this_thread::sleep_for(kIdle); });
    idle_watts_ = energy_.Stop().value_or(0) / seconds;
  }
  std::vector<double> before(tests_.size(), 1e9);
  for (bool stable = false;
       warm_up_rounds_ < kLeastRounds || (!stable && warm_up_rounds_ < kMostRounds);) {
    ThrowIfInterrupted();
    stable = true;
    for (size_t i = 0; i < tests_.size(); ++i) {
      if (warm_up_rounds_ > 0 && before[i] > kLongSeconds) continue;
      std::vector<double> ignored;
      const double seconds = Seconds([&] { Run(tests_[i], ignored); });
      if (seconds < kStable * before[i]) stable = false;
      before[i] = seconds;
      tests_[i].passes = PassesToFill(kMinimumSeconds, seconds);
    }
    ++warm_up_rounds_;
  }
}

Limits ModelBench::Look(const SpeedResult& speed, LimitMeter& meter) {
  Limits limits;
  if (speed.limit_kind == "bandwidth") {
    limits.read_bytes_s = meter.ReadBandwidth();
  } else {
    limits.flops_s = meter.Peak(speed.limit_unit);
  }
  return limits;
}

bool ModelBench::Repeat(LimitMeter* meter) {
  bool repeated = false;
  for (Test& test : tests_) {
    if (!test.result.conditions.WantsMore()) continue;
    ThrowIfInterrupted();
    Repeat(test, meter);
    repeated = true;
  }
  return repeated;
}

void ModelBench::Repeat(Test& test, LimitMeter* meter) {
  SpeedResult& r = test.result;
  Repetition repetition;
  // The looks at the limit are watched by themselves: they take longer than what is held against
  // them, and would hide what disturbs it.
  std::optional<Disturbance> beside;
  const auto look = [&] {
    if (meter == nullptr) return 0.0;
    watch_.Start();
    const double limit = Limit(r, Look(r, *meter));
    const Disturbance looked = watch_.Stop();
    beside = beside ? Worst(*beside, looked) : looked;
    return limit;
  };
  const double limit_before = look();
  energy_.Start();
  watch_.Start();
  const Usage start = Usage::Now();
  repetition.seconds = Seconds([&] {
    for (size_t pass = 0; pass < test.passes; ++pass) Run(test, repetition.latencies);
  });
  repetition.usage = Usage::Now().Since(start);
  const Disturbance disturbance = watch_.Stop();
  repetition.joules = energy_.Stop().value_or(0);
  const size_t tokens = r.sequences * r.tokens * test.passes;
  r.samples.push_back(static_cast<double>(tokens) / repetition.seconds);
  if (limit_before > 0) r.limits.push_back((limit_before + look()) / 2);
  watch_.Add(beside ? Worst(disturbance, *beside) : disturbance, r.conditions);
  test.repetitions.push_back(std::move(repetition));
}

std::string ModelBench::PrefillUnit(size_t tokens) const {
  std::map<std::string, double> weights;
  const size_t pass = std::min(tokens, engine_->options().max_batch);
  for (const engine::LayerWeights& layer : model_->weights().layers) {
    engine::ForEachLayerMatrix(layer, [&](const kernels::Matrix& matrix) {
      const auto choice = kernels::ChooseMatMul(matrix, activations_, pass);
      weights[std::string(choice.unit)] += Elements(matrix);
    });
  }
  const auto most = std::max_element(weights.begin(), weights.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return most == weights.end() ? "" : most->first;
}

double ModelBench::Work(const SpeedResult& speed) const {
  if (speed.test == "prefill") {
    return PrefillOperations(*model_, speed.tokens) / static_cast<double>(speed.tokens);
  }
  const size_t kv_bytes = engine_->kv().layout().bytes_per_token();
  return DecodeBytes(*model_, kv_bytes, speed.tokens, speed.sequences, speed.depth) /
         static_cast<double>(speed.sequences);
}

double ModelBench::Limit(const SpeedResult& speed, const Limits& limits) {
  if (speed.test != "prefill") return limits.read_bytes_s.value_or(0) / speed.work;
  const auto peak = limits.peaks.find(speed.limit_unit);
  return (peak != limits.peaks.end() ? peak->second : limits.flops_s.value_or(0)) / speed.work;
}

MemoryParts ModelBench::Memory() const {
  return {.mapping_bytes = MappedRssBytes(model_->file().path()),
          .packed_bytes = model_->packed_bytes(),
          .kv_bytes = kv_bytes_,
          .scratch_bytes = engine_->scratch_bytes()};
}

ModelBenchResult ModelBench::Result(const Limits& limits) const {
  const engine::GgufFile& file = model_->file();
  ModelBenchResult result{.model = file.path(),
                          .format = DominantFormat(file),
                          .effective_bpw = engine::EffectiveBpw(file),
                          .parameters = model_->parameters(),
                          .file_bytes = file.file_bytes(),
                          .load_seconds = load_seconds_,
                          .energy_j_per_token = JoulesPerToken(),
                          .energy_reason = energy_.reason(),
                          .cold = cold_,
                          .memory = Memory(),
                          .warm_up_rounds = warm_up_rounds_};
  for (size_t i = 0; i < tests_.size(); ++i) {
    SpeedResult speed = Finish(tests_[i], limits);
    const bool is_prefill = speed.test == "prefill";
    SpeedResult& first = is_prefill ? result.prefill : result.decode;
    if (first.tokens == 0 && speed.sequences == 1) {
      first = std::move(speed);
    } else if (speed.sequences > 1) {
      result.together = std::move(speed);
    } else {
      result.more.push_back(std::move(speed));
    }
  }
  return result;
}

SpeedResult ModelBench::Finish(const Test& test, const Limits& limits) const {
  SpeedResult speed = test.result;
  if (!speed.limits.empty()) {
    speed.limit = Summarise(speed.conditions.Kept(speed.limits)).median;
  } else if (const double limit = Limit(speed, limits); limit > 0) {
    speed.limit = limit;
  }
  for (const Repetition& repetition : speed.conditions.Kept(test.repetitions)) {
    speed.usage += repetition.usage;
    speed.latencies_s.insert(speed.latencies_s.end(), repetition.latencies.begin(),
                             repetition.latencies.end());
  }
  return speed;
}

std::optional<double> ModelBench::JoulesPerToken() const {
  // The first that decodes one sequence; there is none with -n 0.
  const auto decode = std::find_if(tests_.begin(), tests_.end(), [](const Test& test) {
    return test.result.test == "decode" && test.result.sequences == 1;
  });
  if (decode == tests_.end()) return std::nullopt;
  double joules = 0;
  size_t decoded = 0;
  for (const Repetition& repetition : decode->result.conditions.Kept(decode->repetitions)) {
    joules += repetition.joules - idle_watts_ * repetition.seconds;
    decoded += speed_.decode * decode->passes;
  }
  if (!energy_.reason().empty() || decoded == 0) return std::nullopt;
  return std::max(0.0, joules) / static_cast<double>(decoded);
}

std::vector<ModelBenchResult> BenchModels(std::span<const std::filesystem::path> paths,
                                          const Settings& settings, const SpeedMetric& speed,
                                          const Limits& limits, const BenchProgress& progress,
                                          const MoreTests& more) {
  // Before the models, so that it asks for its part of the memory that is free without them.
  std::optional<LimitMeter> meter;
  if (more.limits_each_time) meter.emplace(settings.threads);
  std::vector<std::unique_ptr<ModelBench>> benches;
  for (const auto& path : paths) {
    benches.push_back(std::make_unique<ModelBench>(path, settings, speed, more));
  }
  for (auto& bench : benches) bench->WarmUp();
  const size_t total = speed.repetitions * benches.size();
  size_t done = 0;
  for (bool more_wanted = true; more_wanted;) {
    more_wanted = false;
    for (auto& bench : benches) {
      if (!bench->Repeat(meter ? &*meter : nullptr)) continue;
      more_wanted = true;
      if (progress) progress(std::min(++done, total), total);
    }
  }
  std::vector<ModelBenchResult> results;
  for (const auto& bench : benches) results.push_back(bench->Result(limits));
  return results;
}

double DecodeBytes(const engine::Model& model, size_t kv_bytes_per_token, size_t tokens,
                   size_t sequences, size_t depth) {
  // The i-th token reads depth + i + 1 cached tokens: depth + (tokens + 1) / 2 on average.
  const double cached = static_cast<double>(depth) + (static_cast<double>(tokens) + 1) / 2;
  return static_cast<double>(model.bytes_per_token()) +
         static_cast<double>(sequences * kv_bytes_per_token) * cached;
}

double PrefillOperations(const engine::Model& model, size_t tokens) {
  double weights = 0;
  for (const engine::LayerWeights& layer : model.weights().layers) {
    engine::ForEachLayerMatrix(layer,
                               [&](const kernels::Matrix& matrix) { weights += Elements(matrix); });
    if (layer.experts.empty()) continue;
    const engine::FeedForwardWeights& one = layer.experts.front();
    weights -= static_cast<double>(layer.experts.size() - model.config().experts.used) *
               (Elements(one.gate) + Elements(one.up) + Elements(one.down));
  }
  return 2 * (weights * static_cast<double>(tokens) + Elements(model.weights().output));
}

}  // namespace crossover::bench

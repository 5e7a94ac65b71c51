#include "bench/crossover/crossover_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "bench/machine/load_probe.h"
#include "bench/machine/machine_info.h"
#include "bench/machine/time_team.h"
#include "bench/model/model.h"
#include "bench/model/pass_products.h"
#include "bench/model/resident_weights.h"
#include "engine/model/matrices.h"
#include "engine/run/sequence.h"
#include "kernels/choice.h"
#include "kernels/isa.h"
#include "kernels/packed/pack.h"

namespace crossover::bench {
namespace {

// Long against a barrier, short enough for the four to see the same machine.
constexpr double kMinimumSeconds = 0.02;
constexpr double kMostPasses = 2000;
// A pass that lasts so long hardly knows whether it was the first.
constexpr double kLongSeconds = 0.5;

using kernels::Worker;

/// A model in memory, its weights once more in a cache, and all that times passes on either.
class CrossoverBench {
 public:
  CrossoverBench(const std::filesystem::path& path, const Settings& settings, size_t max_tokens)
      : activations_(settings.engine_options().activations),
        model_(engine::Model::Load(path, settings.model_options())),
        engine_(model_, EngineOptionsFor(settings, max_tokens)),
        sequence_(engine_),
        team_(settings.threads),
        watch_(settings.threads),
        products_(*model_, activations_, max_tokens),
        piece_(ChooseResidentPiece(ReadMachineInfo())),
        resident_(LargestMatrix(model_->weights()), piece_.bytes),
        resident_weights_(resident_.Rebind(model_->weights())) {
    ids_.resize(max_tokens);
    for (size_t i = 0; i < max_tokens; ++i) {
      ids_[i] = static_cast<engine::TokenId>((i * 7919 + 1) % model_->config().vocab);
    }
    ChoosePrefetch();
  }

  CrossoverModel Describe(const Settings& settings) const {
    const engine::GgufFile& file = model_->file();
    return {.model = file.path(),
            .format = DominantFormat(file),
            .effective_bpw = engine::EffectiveBpw(file),
            .parameters = model_->parameters(),
            .layers = model_->config().layers,
            .threads = settings.threads,
            .isa = std::string(kernels::SelectedIsa()),
            .resident_bytes = piece_.bytes,
            .cache = piece_.cache};
  }

  CrossoverCell Measure(size_t tokens, size_t repetitions) {
    CrossoverCell cell{.tokens = tokens,
                       .bytes = StreamBytes(model_->weights()),
                       .operations = PrefillOperations(*model_, tokens),
                       .weights = PrefillOperations(*model_, 1) / 2};
    NameKernel(cell);
    const Timer timers[] = {
        {[&](size_t n) { return Pass(tokens, n); }, &cell.pass_s},
        {[&](size_t n) { return Products(model_->weights(), tokens, n); }, &cell.products_s},
        {[&](size_t n) { return Products(resident_weights_, tokens, n); }, &cell.resident_s},
        {[&](size_t n) { return Stream(n); }, &cell.stream_s}};
    size_t passes[std::size(timers)];
    for (size_t i = 0; i < std::size(timers); ++i) {
      double seconds = timers[i].time(1);  // pays for page faults, and for cold caches
      if (seconds < kLongSeconds) seconds = timers[i].time(1);
      passes[i] = PassesFor(seconds);
    }
    watch_.Repeat(repetitions, cell.conditions, [&] {
      ThrowIfInterrupted();
      for (size_t i = 0; i < std::size(timers); ++i) {
        timers[i].samples->push_back(timers[i].time(passes[i]) / static_cast<double>(passes[i]));
      }
    });
    return cell;
  }

 private:
  struct Timer {
    std::function<double(size_t passes)> time;  // seconds of all
    std::vector<double>* samples;
  };

  static engine::EngineOptions EngineOptionsFor(const Settings& settings, size_t max_tokens) {
    engine::EngineOptions options = settings.engine_options();
    options.kv_capacity = max_tokens;
    options.max_batch = max_tokens;
    return options;
  }

  static size_t LargestMatrix(const engine::Weights& weights) {
    size_t most = 0;
    ForEachMatrix(
        weights, [&](const kernels::Matrix& m) { most = std::max(most, kernels::StoredBytes(m)); });
    return most;
  }

  static size_t PassesFor(double seconds) {
    return static_cast<size_t>(
        std::clamp(std::ceil(kMinimumSeconds / std::max(seconds, 1e-9)), 1.0, kMostPasses));
  }

  double Pass(size_t tokens, size_t passes) {
    const engine::Chunk chunk{.sequence = sequence_.id(),
                              .tokens = std::span(ids_).first(tokens),
                              .logits_from = tokens - 1};
    double seconds = 0;
    for (size_t i = 0; i < passes; ++i) {
      engine_.Truncate(sequence_.id(), 0);
      const auto start = std::chrono::steady_clock::now();
      engine_.Forward({&chunk, 1});
      seconds += SecondsSince(start);
    }
    return seconds;
  }

  double Products(const engine::Weights& weights, size_t tokens, size_t passes) {
    products_.Reset(tokens);
    return TimeTeam(team_, [&](const Worker& worker) {
      for (size_t i = 0; i < passes; ++i) products_.Run(worker, weights);
    });
  }

  double Stream(size_t passes) {
    return TimeTeam(team_, [&](const Worker& worker) {
      for (size_t i = 0; i < passes; ++i) {
        StreamWeights(worker, model_->weights(), prefetch_);
        worker.Sync();
      }
    });
  }

  /// Whether asking ahead makes reading faster depends on pages and on where the weights lie.
  void ChoosePrefetch() {
    double best[2] = {1e9, 1e9};
    Stream(1);
    for (int i = 0; i < 3; ++i) {
      for (const bool prefetch : {false, true}) {
        prefetch_ = prefetch;
        const size_t passes = PassesFor(best[prefetch]);
        best[prefetch] = std::min(best[prefetch], Stream(passes) / static_cast<double>(passes));
      }
    }
    prefetch_ = best[1] < best[0];
  }

  /// The kernel and unit that most of the layers' weights go through.
  void NameKernel(CrossoverCell& cell) const {
    std::map<std::pair<std::string, std::string>, double> weights;
    for (const engine::LayerWeights& layer : model_->weights().layers) {
      engine::ForEachLayerMatrix(layer, [&](const kernels::Matrix& m) {
        const auto choice = kernels::ChooseMatMul(m, activations_, cell.tokens);
        weights[{std::string(choice.kernel), std::string(choice.unit)}] +=
            static_cast<double>(m.rows) * static_cast<double>(m.cols);
      });
    }
    const auto most = std::max_element(weights.begin(), weights.end(),
                                       [](auto& a, auto& b) { return a.second < b.second; });
    if (most != weights.end()) std::tie(cell.kernel, cell.unit) = most->first;
  }

  kernels::Activations activations_;
  std::shared_ptr<const engine::Model> model_;
  engine::Engine engine_;
  engine::ScopedSequence sequence_;
  kernels::Team team_;
  Watch watch_;
  PassProducts products_;
  ResidentPiece piece_;
  ResidentWeights resident_;
  engine::Weights resident_weights_;
  std::vector<engine::TokenId> ids_;
  bool prefetch_ = false;
};

/// Packed weights are a second copy; the mapped file's pages can be dropped again.
void RequireMemory(const std::filesystem::path& path, const Settings& settings) {
  const uint64_t available = ReadMachineInfo().available_bytes;
  std::error_code failed;
  const uint64_t bytes = std::filesystem::file_size(path, failed);
  if (failed || available == 0 || bytes <= available) return;
  throw Error(ErrorCode::kOutOfMemory,
              fmt::format("{}: {} MB of {} weights do not fit into the {} MB of memory that are "
                          "free; what is measured would be the disk",
                          path.string(), bytes / 1000000, settings.weights, available / 1000000));
}

}  // namespace

CrossoverModel MeasureCrossover(const std::filesystem::path& path, const Settings& settings,
                                const CrossoverMetric& metric,
                                const std::function<void(size_t done, size_t total)>& progress) {
  if (metric.tokens.empty()) throw Error(ErrorCode::kInvalidArgument, "no number of tokens given");
  RequireMemory(path, settings);
  CrossoverBench bench(path, settings, *std::ranges::max_element(metric.tokens));
  CrossoverModel model = bench.Describe(settings);
  for (const size_t tokens : metric.tokens) {
    model.cells.push_back(bench.Measure(tokens, metric.repetitions));
    if (progress) progress(model.cells.size(), metric.tokens.size());
  }
  return model;
}

}  // namespace crossover::bench

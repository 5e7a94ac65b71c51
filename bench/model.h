// How fast a model runs: prefill and decode in tokens a second, the machine's limit beside each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/energy.h"
#include "bench/plan.h"
#include "bench/settings.h"
#include "bench/summary.h"
#include "engine/engine.h"

namespace crossover::bench {

/// One thing that was timed, with every repetition.
struct SpeedResult {
  std::string test = {};             // "prefill", "decode"
  size_t tokens = 0;                 // of each, a repetition
  std::vector<double> samples = {};  // tokens a second, in the order measured

  std::string limit_kind = {};       // "bandwidth", "arithmetic"
  std::optional<double> limit = {};  // tokens a second that the machine's limit allows
  size_t sequences = 1;              // at a time

  Summary summary() const { return Summarise(samples); }
  /// The median's share of the limit.
  std::optional<double> fraction_of_limit() const;
};

struct ModelBenchResult {
  std::string model = {};   // path
  std::string format = {};  // the one that most weights are stored in
  double effective_bpw = 0;
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  double load_seconds = 0;
  std::optional<uint64_t> peak_rss_bytes = {};
  std::optional<double> energy_j_per_token = {};  // decode
  std::string energy_reason = {};                 // why there is none
  SpeedResult prefill = {};
  SpeedResult decode = {};
  std::optional<SpeedResult> together = {};  // decode, of several sequences at a time

  std::vector<const SpeedResult*> speeds() const;
};

/// One loaded model that can be timed again and again.
///
/// Prefill: `prefill` random ids into an empty cache in passes of at most 512 tokens, logits of the
/// last token only. Decode: `decode` random ids one at a time, from an empty cache on, logits each
/// time; what a sampler would add is no part of it. With more than one sequence, the same again
/// with a token of each in a pass. A repetition of either runs it as often as
/// takes some 50 ms: a single pass of a small model is over within a scheduler's tick.
class ModelBench {
 public:
  ModelBench(const std::filesystem::path& path, const Settings& settings, const SpeedMetric& speed);

  /// All tests once, nothing kept: caches, page tables and the clock come up to speed.
  void WarmUp();
  /// All tests once, the samples kept.
  void Repeat();
  /// With the limits that follow from the machine's; peak_rss_bytes is left to the caller.
  ModelBenchResult Result(const Limits& limits) const;

 private:
  void Prefill();
  void Decode(size_t sequences);
  /// Tokens a second that reading allows `sequences` tokens a pass.
  double DecodeLimit(double read_bytes_s, size_t sequences) const;

  SpeedMetric speed_;
  double load_seconds_ = 0;
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<engine::TokenId> ids_ = {};
  EnergyMeter energy_;
  double decode_joules_ = 0;
  size_t prefill_passes_ = 1;  // in a repetition
  size_t decode_passes_ = 1;
  SpeedResult prefill_ = {};
  SpeedResult decode_ = {};
  size_t together_passes_ = 1;
  std::optional<SpeedResult> together_ = {};
};

/// Called with repetitions done and in all.
using BenchProgress = std::function<void(size_t done, size_t total)>;

/// Warm-up, then `repetitions` rounds over all models in turn, so that drift of the machine hits
/// all alike.
std::vector<ModelBenchResult> BenchModels(std::span<const std::filesystem::path> paths,
                                          const Settings& settings, const SpeedMetric& speed,
                                          const Limits& limits,
                                          const BenchProgress& progress = nullptr);

/// Of most weights, by name; "none" for a file without tensors.
std::string DominantFormat(const engine::GgufFile& file);

/// Bytes that decoding a token of each of `sequences` reads: the weights once, and each one's cache
/// at the mean depth of `tokens` tokens decoded from an empty one.
double DecodeBytes(const engine::Model& model, size_t kv_bytes_per_token, size_t tokens,
                   size_t sequences = 1);

/// Operations in the matrix products that a prompt of `tokens` needs, a multiplication and an
/// addition each: 2 a weight and token; the output matrix for the last token only.
double PrefillOperations(const engine::Model& model, size_t tokens);

/// The rows of `bench model --json`: one a model and test.
nlohmann::json BenchJson(std::span<const ModelBenchResult> results);
/// The same for people.
std::string BenchTable(std::span<const ModelBenchResult> results);

}  // namespace crossover::bench

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

#include "bench/machine/ceilings.h"
#include "bench/machine/disturbance.h"
#include "bench/machine/energy.h"
#include "bench/machine/limit_meter.h"
#include "bench/machine/load_probe.h"
#include "bench/machine/usage.h"
#include "bench/settings.h"
#include "bench/study/plan.h"
#include "bench/summary.h"
#include "engine/run/engine.h"
#include "engine/run/sequence.h"

namespace crossover::bench {

/// One thing that was timed, with every repetition, those that were disturbed too: `conditions`
/// says which of them the figures rest on.
struct SpeedResult {
  std::string test = {};             // "prefill", "decode"
  size_t tokens = 0;                 // of each, a repetition
  std::vector<double> samples = {};  // tokens a second, in the order measured

  std::string limit_kind = {};       // "bandwidth", "arithmetic"
  std::optional<double> limit = {};  // tokens a second that the machine's limit allows
  /// The same, measured beside each sample; empty: the limit was measured once, at another time.
  std::vector<double> limits = {};
  size_t sequences = 1;         // at a time
  double work = 0;              // a token's: bytes to read (bandwidth) or operations (arithmetic)
  size_t depth = 0;             // tokens that are cached before the first of these
  std::string limit_unit = {};  // of an arithmetic limit: the unit that most weights go through
  /// Seconds of each prompt until its first token is chosen, or of each decoded token.
  std::vector<double> latencies_s = {};
  Usage usage =
      {};  // in all repetitions together; of those that the figures rest on, like latencies
  Conditions conditions = {};

  /// Of the repetitions that the figure rests on.
  Summary summary() const { return Summarise(conditions.Kept(samples)); }
  /// Each sample's share of its own limit; empty without `limits`.
  std::vector<double> fractions() const;
  /// Their median; without, the median's share of the one limit.
  std::optional<double> fraction_of_limit() const;
};

/// Loading after the file's pages were dropped from the page cache.
struct ColdLoad {
  double seconds = 0;
  std::optional<double> cached_part = {};  // of the file that stayed in memory; nothing: unknown
};

/// What a loaded model holds in memory while tests run.
struct MemoryParts {
  std::optional<uint64_t> mapping_bytes = {};  // of the file's own pages
  uint64_t packed_bytes = 0;
  uint64_t kv_bytes = 0;  // of the most pages that a test had in use
  uint64_t scratch_bytes = 0;

  uint64_t total() const {
    return mapping_bytes.value_or(0) + packed_bytes + kv_bytes + scratch_bytes;
  }
};

/// What `bench model` measures beside a study's SpeedMetric.
struct MoreTests {
  std::vector<size_t> prefills = {};  // lengths of prompts
  std::vector<size_t> depths = {};    // tokens in the cache before decoding
  bool cold_load = false;
  bool limits_each_time = false;  // measured beside each repetition: LimitMeter
};

struct ModelBenchResult {
  std::string model = {};   // path
  std::string format = {};  // the one that most weights are stored in
  double effective_bpw = 0;
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  double load_seconds = 0;
  std::optional<uint64_t> peak_rss_bytes = {};
  std::optional<double> energy_j_per_token = {};  // decode, idle power taken off
  std::string energy_reason = {};                 // why there is none
  SpeedResult prefill = {};                       // the first of each; of 0 tokens: not measured
  SpeedResult decode = {};
  std::optional<SpeedResult> together = {};  // decode, of several sequences at a time
  std::vector<SpeedResult> more = {};        // prompts of other lengths, decoding at other depths
  std::optional<ColdLoad> cold = {};
  MemoryParts memory = {};
  size_t warm_up_rounds = 0;

  std::vector<const SpeedResult*> speeds() const;
};

/// One loaded model that can be timed again and again.
///
/// Prefill: random ids into an empty cache in passes of at most 512 tokens, logits of the last
/// token only, of which the likeliest is chosen. Decode: random ids one at a time, from an empty
/// cache on or behind `depth` others, logits each time; what a sampler would add is no part of it.
/// With more than one sequence, the same again with a token of each in a pass. A repetition of
/// either runs it as often as takes some 50 ms: a single pass of a small model is over within a
/// scheduler's tick.
class ModelBench {
 public:
  ModelBench(const std::filesystem::path& path, const Settings& settings, const SpeedMetric& speed,
             const MoreTests& more = {});

  /// Rounds of all tests, nothing kept, until none takes 5 % less than in the round before, at
  /// least two and at most six: caches, page tables and the clock come up to speed. Tests of half a
  /// second and more are not waited for.
  void WarmUp();
  /// Once every test that wants another repetition (Conditions), the samples kept; with a meter,
  /// each between two looks at its limit. Whether there was such a test.
  bool Repeat(LimitMeter* meter = nullptr);
  /// With the limits that follow from the machine's; peak_rss_bytes is left to the caller.
  ModelBenchResult Result(const Limits& limits) const;

 private:
  struct Repetition {
    Usage usage = {};
    double joules = 0;
    double seconds = 0;
    std::vector<double> latencies = {};
  };
  struct Test {
    SpeedResult result;
    size_t passes = 1;  // in a repetition
    std::vector<Repetition> repetitions = {};
  };

  void AddTests(const MoreTests& more);
  void Repeat(Test& test, LimitMeter* meter);
  /// The test's result with what its repetitions add up to.
  SpeedResult Finish(const Test& test, const Limits& limits) const;
  /// Joules a decoded token, without what the machine takes when idle.
  std::optional<double> JoulesPerToken() const;
  /// One pass; appends to latencies.
  void Run(const Test& test, std::vector<double>& latencies);
  void Prefill(size_t tokens, std::vector<double>& latencies);
  void Decode(size_t sequences, size_t depth, std::vector<double>& latencies);
  /// Bytes to read or operations to do, a token of `speed`.
  double Work(const SpeedResult& speed) const;
  /// Tokens a second that the machine could do of them; 0 if the limit is not known.
  static double Limit(const SpeedResult& speed, const Limits& limits);
  /// Measures only the limit that applies to `speed` now; the other fields stay empty.
  static Limits Look(const SpeedResult& speed, LimitMeter& meter);
  /// The unit of arithmetic that most weights of a prompt's passes go through.
  std::string PrefillUnit(size_t tokens) const;
  MemoryParts Memory() const;

  SpeedMetric speed_;
  kernels::Activations activations_;
  double load_seconds_ = 0;
  std::optional<ColdLoad> cold_ = {};
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<engine::TokenId> ids_ = {};
  std::optional<engine::ScopedSequence> deep_ = {};  // as long as the greatest depth
  Watch watch_;
  EnergyMeter energy_;
  double idle_watts_ = 0;
  std::vector<Test> tests_ = {};
  size_t warm_up_rounds_ = 0;
  uint64_t kv_bytes_ = 0;  // the most that were in use
};

/// Called with repetitions done and in all.
using BenchProgress = std::function<void(size_t done, size_t total)>;

/// Warm-up, then `repetitions` rounds over all models in turn, so that drift of the machine hits
/// all alike; then rounds of what was disturbed.
std::vector<ModelBenchResult> BenchModels(std::span<const std::filesystem::path> paths,
                                          const Settings& settings, const SpeedMetric& speed,
                                          const Limits& limits,
                                          const BenchProgress& progress = nullptr,
                                          const MoreTests& more = {});

/// Of most weights, by name; "none" for a file without tensors.
std::string DominantFormat(const engine::GgufFile& file);

/// Bytes that decoding a token of each of `sequences` reads: the weights once, and each one's cache
/// at the mean depth of `tokens` tokens decoded behind `depth` others.
double DecodeBytes(const engine::Model& model, size_t kv_bytes_per_token, size_t tokens,
                   size_t sequences = 1, size_t depth = 0);

/// Operations in the matrix products that a prompt of `tokens` needs, a multiplication and an
/// addition each: 2 a weight and token; the output matrix for the last token only.
double PrefillOperations(const engine::Model& model, size_t tokens);

/// The rows of `bench model --json`: one a model and test.
nlohmann::json BenchJson(std::span<const ModelBenchResult> results);
/// The same for people.
std::string BenchTable(std::span<const ModelBenchResult> results);
/// What else was measured: latencies, loading, memory, what the system counted.
std::string BenchDetails(std::span<const ModelBenchResult> results, size_t threads);

}  // namespace crossover::bench

// What a machine that is not here would do with a model, by time_model.h: predictions, and said to
// be such.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/model/pass_work.h"
#include "bench/predict/time_model.h"

namespace crossover::bench {

struct PredictMachine {
  std::string name = {};
  std::string source = {};  // of its numbers, for people
  TimeModel model = {};
  double memory_bytes = 0;  // 0: unknown
};

/// Machines known by published figures alone: reads as somebody measured them or else memory's
/// transfer rate times its width, and 8-bit products at the nominal clock. No machine reaches all
/// of what is nominal.
std::span<const PredictMachine> NominalMachines();

/// One of those by name, or a file that `bench machine --json` (limits: nothing is slower than the
/// machine) or `bench crossover --json` (the finest fit) wrote. Error(kNotFound) lists the names;
/// Error(kCorruptFile) says what a file lacks.
PredictMachine LoadPredictMachine(const std::string& file_or_name);

/// The unit that a product of so many tokens would take of those that the model has rates for, by
/// the rule of kernels/matmul.h; empty where one rate serves all.
std::string UnitFor(const TimeModel& model, bool quantized, size_t tokens);

/// Tokens a pass where computing takes as long as reading; nothing if it does from the first on, or
/// not up to 65536.
std::optional<double> PredictedChange(const TimeModel& model, const ModelWork& work);

struct Prediction {
  ModelWork model = {};
  std::string test = {};  // "prefill", "decode"
  size_t tokens = 0;      // of the pass
  size_t depth = 0;       // tokens before it
  std::string unit = {};
  double seconds = 0;  // of a pass
  double communication_s = 0;
  double computation_s = 0;
  double fixed_s = 0;
  std::optional<double> tokens_at_change = {};
  double memory_bytes = 0;  // of weights and cache
  bool fits = true;         // into the machine's memory, or that is unknown

  double tok_s() const { return static_cast<double>(tokens) / seconds; }
  /// Of the three parts, the longest: "communication", "computation", "fixed".
  std::string_view bound() const;
};

struct PredictTests {
  std::vector<size_t> prefill = {512};  // tokens of a prompt, in one pass
  std::vector<size_t> decode = {0};     // tokens before the one that is decoded
};

std::vector<Prediction> Predict(const PredictMachine& machine, std::span<const ModelWork> models,
                                const PredictTests& tests);

nlohmann::json PredictJson(const PredictMachine& machine, std::span<const Prediction> predictions);
std::string PredictTable(const PredictMachine& machine, std::span<const Prediction> predictions);
std::string PredictCsv(const PredictMachine& machine, std::span<const Prediction> predictions);

}  // namespace crossover::bench

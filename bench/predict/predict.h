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
#include "bench/predict/uncertainty.h"

namespace crossover::bench {

struct PredictMachine {
  std::string name = {};
  std::string source = {};  // of its numbers, for people
  TimeModel model = {};
  double memory_bytes = 0;  // 0: unknown
  // How far the true numbers may lie from the model's: of its read rate, of its rates of
  // arithmetic, and of its passes' speed as a whole.
  Factor read = {}, arithmetic = {}, whole = {};
};

/// A number that predictions on a machine are made of.
struct MachinePart {
  std::string name = {};  // "read rate", "arithmetic int8_dot", "unpacking", "fixed", "overlap"
  double value = 0;
  std::string unit = {};
  Factor range = {};  // in which the true one lies
  std::string source = {};
};
std::vector<MachinePart> PartsOf(const PredictMachine& machine);

/// Seconds of a pass by what takes them. Reading and computing overlap, or follow each other, as
/// the machine's model says.
struct PassParts {
  double weights_s = 0;    // reading them
  double cache_s = 0;      // reading K and V
  double products_s = 0;   // multiplying
  double unpacking_s = 0;  // weights, before they are multiplied
  double attention_s = 0;  // its arithmetic
  double fixed_s = 0;      // of the layers

  struct Named {
    const char* name;  // "reading weights"
    const char* key;   // in JSON
    double seconds;
  };
  std::vector<Named> named() const;
};

/// Machines known by published figures alone: reads as somebody measured them or else memory's
/// transfer rate times its width, and 8-bit products at the nominal clock. No machine reaches all
/// of what is nominal.
std::span<const PredictMachine> NominalMachines();

/// One of those by name, or a file that `bench machine --json` (limits: nothing is slower than the
/// machine) or `bench crossover --json` (the finest fit) wrote. `threads`: of a file of limits,
/// those of so many; 0: of the most. Error(kNotFound) lists the names; Error(kCorruptFile) says
/// what a file lacks.
PredictMachine LoadPredictMachine(const std::string& file_or_name, size_t threads = 0);

/// Ranges of a machine whose numbers are limits: what others' engines reached of such.
void TakeLimitsRanges(RateKind kind, PredictMachine& machine);

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
  PassParts parts = {};
  double low_tok_s = 0, high_tok_s = 0;  // between which eight of ten true speeds would lie
  std::optional<double> tokens_at_change = {};
  double memory_bytes = 0;  // of weights and cache
  bool fits = true;         // into the machine's memory, or that is unknown

  double tok_s() const { return static_cast<double>(tokens) / seconds; }
  /// Of the three parts, the longest: "communication", "computation", "fixed".
  std::string_view bound() const;
  /// Of the bound, what takes the most: a name of PassParts.
  std::string_view bounded_by() const;
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

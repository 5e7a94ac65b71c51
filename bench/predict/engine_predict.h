// What another engine would do with a model on a machine of the collection, by the profile that is
// fitted to what has been published of it.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/model/pass_work.h"
#include "bench/predict/check.h"

namespace crossover::bench {

struct EngineQuestion {
  std::string engine = {};
  std::string machine = {};
  std::optional<size_t> threads = {};       // else the machine's cores
  std::optional<double> read_bytes_s = {};  // else what is published
  std::vector<size_t> depths = {0};         // tokens before the one that is decoded
};

struct EnginePrediction {
  ModelWork model = {};
  SpeedTest test = SpeedTest::kDecode;
  size_t depth = 0;
  RateKind rate_kind = RateKind::kNone;
  double read_bytes_s = 0;
  double tok_s = 0, low_tok_s = 0, high_tok_s = 0;  // eight of ten lie between, by the check
  EngineProfile::Parts parts = {};                  // of a decoded token
  std::string bound = {};
};

/// Error(kNotFound) lists the engines or machines that are known; Error(kInvalidArgument) for a
/// machine whose rate is not published, or a format that the engine was not seen with.
std::vector<EnginePrediction> PredictEngine(const Published& published, const SpeedCheck& check,
                                            const EngineQuestion& question,
                                            std::span<const ModelWork> models);

std::string EngineTable(const EngineQuestion& question,
                        std::span<const EnginePrediction> predictions);
std::string EngineCsv(const EngineQuestion& question,
                      std::span<const EnginePrediction> predictions);
nlohmann::json EngineJson(const EngineQuestion& question,
                          std::span<const EnginePrediction> predictions);

}  // namespace crossover::bench

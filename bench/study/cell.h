// The steps of a study that need the engine, each done by a child process of its own: measure the
// machine's limits, make a cell's file (from real weights or from a shape), measure the file. What
// goes in and what comes out is JSON.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bench/machine/ceilings.h"
#include "bench/settings.h"
#include "bench/study/plan.h"

namespace crossover::bench {

struct LimitsStep {
  Settings settings = {};
};

struct QuantizeStep {
  std::filesystem::path source = {};
  std::filesystem::path file = {};
  std::string recipe = {};
  Settings settings = {};
};

struct SynthStep {
  std::string shape = {};
  uint32_t layers = 0;  // 0: the shape's
  std::filesystem::path file = {};
  std::string recipe = {};
  Settings settings = {};
};

struct MeasureStep {
  std::filesystem::path file = {};
  std::filesystem::path source = {};  // the model's own file; empty for a shape
  Settings settings = {};
  Metrics metrics = {};
  Limits limits = {};
};

/// The words behind the executable's name that make it do the step.
inline constexpr const char* kCellCommand = "study-cell";
std::string CellArgument(const LimitsStep& step);
std::string CellArgument(const QuantizeStep& step);
std::string CellArgument(const SynthStep& step);
std::string CellArgument(const MeasureStep& step);

/// In the child, which dies with its parent: does what the argument says and returns the result:
///   limits: Limits
///   quantize: {"seconds", "fallbacks"}; or {"in_recipe": true} and no file, if every weight matrix
///   of the source has the recipe's format already and that is not a quantised one, or for kOwnFile
///   synth: {"seconds", "fallbacks"}
///   measure: Measurement (record.h). Speed comes first, in a process that has done nothing else,
///   so that the peak resident size is inference's own.
/// Errors: those of loading, quantising, evaluating; kInvalidArgument for an argument that
/// CellArgument did not make.
nlohmann::json RunCellStep(const std::string& argument);

}  // namespace crossover::bench

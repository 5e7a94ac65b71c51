// A study's plan: models × recipes, and what is measured of each pair.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/crossover/crossover.h"

namespace crossover::bench {

struct PerplexityMetric {
  std::filesystem::path text;
  size_t context = 512;
  size_t chunks = 0;  // at most so many; 0: all that the text has
  bool divergence =
      false;  // also the KL divergence from the model's own file, over the same tokens
};

struct TasksMetric {
  std::filesystem::path directory = {};
  std::vector<std::string> names = {};
  size_t limit = 0;  // the first so many items of each; 0: all
};

struct SpeedMetric {
  size_t prefill = 512;  // tokens; 0, which no plan can ask for: not measured
  size_t decode = 64;    // likewise
  size_t repetitions = 5;
  size_t sequences = 1;  // more: also decoded that many at a time; `bench model` only
};

/// What is measured of every cell; an absent metric is not measured.
struct Metrics {
  std::optional<PerplexityMetric> perplexity = {};
  std::optional<TasksMetric> tasks = {};
  std::optional<SpeedMetric> speed = {};
  std::optional<CrossoverMetric> crossover = {};
};

/// A file with real weights, or a shape that gets random ones: then quality is not measured.
struct PlanModel {
  std::string name = {};  // of the file, without extension, or of the shape, unless the plan says
  std::filesystem::path path = {};  // empty for a shape
  std::string shape = {};           // as `crossover synth --list` names it
  uint32_t layers = 0;              // of a shape; 0: its own
};

/// Among a plan's recipes: the model's own file as it is, nothing quantised again.
inline constexpr std::string_view kOwnFile = "file";

struct Plan {
  std::string name = {};
  std::string about = {};  // one line for the list of ready plans
  std::vector<PlanModel> models = {};
  /// As FindPlanRecipe names them. "F16" of an F16 file is the file itself; kOwnFile always is.
  std::vector<std::string> recipes = {};
  std::vector<size_t> threads = {};  // each a cell of its own; empty: the caller's number
  Metrics metrics = {};
  bool keep_files = false;  // keep the quantised files after their cells are measured
};

/// A plan file:
///   {"name": "demo", "about": "what it is for",
///    "models": ["embedded:m", "../big.gguf", {"name": "mine", "path": "x.gguf"},
///               {"synth": "qwen2.5-7b"}, {"name": "short", "synth": "qwen2.5-7b", "layers": 4}],
///    "recipes": ["file", "F16", "Q4_K_M", "Q2_K pure"],
///    "threads": [1, 2],
///    "metrics": {"perplexity": {"text": "embedded:heldout", "context": 512, "chunks": 20,
///                               "divergence": true},
///                "tasks": {"directory": "embedded:tasks", "names": ["facts"], "limit": 100},
///                "speed": {"prefill": 512, "decode": 64, "repetitions": 5},
///                "crossover": {"tokens": [1, 8, 64], "repetitions": 5}},
///    "keep_files": false}
/// Relative paths start at the plan's folder. Error(kInvalidArgument) names `source`, the key and
/// what was expected; unknown keys are errors too, for a misspelt one would silently not count.
Plan ParsePlan(std::string_view text, const std::filesystem::path& source);

/// Reads a plan file, or the ready plan of that name. Error(kNotFound) lists the ready ones.
Plan LoadPlan(const std::string& file_or_name);

struct ReadyPlan {
  std::string name = {};
  std::string about = {};
  size_t cells = 0;
};
/// The plans that come with the program, by name.
std::vector<ReadyPlan> ReadyPlans();

/// Takes files with real weights into a plan. "NAME=FILE" gives the plan's model of that name these
/// weights, so that its quality is measured too; "FILE" adds a model. Error(kInvalidArgument,
/// kNotFound).
void AddModelFiles(const std::vector<std::string>& words, Plan& plan);

/// The models times the recipes times the thread counts.
size_t CountCells(const Plan& plan);

void to_json(nlohmann::json& json, const Metrics& metrics);
void from_json(const nlohmann::json& json, Metrics& metrics);

}  // namespace crossover::bench

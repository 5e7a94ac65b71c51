#include "bench/study/study_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/content_identity.h"
#include "base/counted.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/join_path.h"
#include "base/json.h"
#include "bench/machine/machine_info.h"
#include "bench/machine/system.h"
#include "bench/study/cell_folder.h"
#include "bench/study/plan_recipe.h"
#include "engine/files/model_files.h"
#include "engine/synth/synth.h"
#include "quant/format.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Caches, activations, logits and the program itself, beside the weights.
constexpr double kBesideWeights = 768.0 * (1 << 20);
constexpr double kRoomLeft = 256.0 * (1 << 20);  // on the disk, for results

/// What is measured, without where the files lie: they are named by what they hold.
json MetricsKey(Metrics metrics) {
  if (metrics.perplexity) metrics.perplexity->text.clear();
  if (metrics.tasks) metrics.tasks->directory.clear();
  return metrics;
}

std::vector<fs::path> Inputs(const StudyCell& cell) {
  std::vector<fs::path> inputs;
  if (cell.model.shape.empty()) inputs = engine::ModelFiles(cell.model.path);
  if (const auto& metric = cell.metrics.perplexity) inputs.push_back(metric->text);
  if (const auto& metric = cell.metrics.tasks) {
    for (const std::string& name : metric->names) {
      inputs.push_back(JoinPath(metric->directory, name + ".jsonl"));
    }
  }
  return inputs;
}

/// What files hold; each is read once for all cells.
class Identities {
 public:
  const std::string& Of(const fs::path& path) {
    auto [it, added] = known_.try_emplace(path);
    if (added) it->second = ContentIdentity(path);
    return it->second;
  }

 private:
  std::map<fs::path, std::string> known_;
};

/// The stamp is taken first: a file that is written while it is read does not get away.
void Identify(StudyCell& cell, Identities& identities) {
  cell.inputs = Inputs(cell);
  cell.stamp = FileStamp(cell.inputs);
  json inputs = json::array({{cell.model.shape, cell.model.layers}});
  for (const fs::path& path : cell.inputs) cell.identities.push_back(identities.Of(path));
  inputs.push_back(cell.identities);
  cell.key = Fingerprint(
      DumpJson(json{cell.name, inputs, MetricsKey(cell.metrics), cell.settings, cell.program}));
}

engine::SynthShape Shape(const PlanModel& model) {
  engine::SynthShape shape = engine::FindSynthShape(model.shape);
  if (model.layers > 0) shape.layers = model.layers;
  return shape;
}

uint64_t WeightBytes(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".safetensors") bytes += entry.file_size();
  }
  return bytes;
}

/// Parameters and bytes of the cell's file. Of real weights, which are not opened here: as if they
/// were two bytes each, and all of the recipe's format. No recipe: the model's own file.
std::pair<double, double> Size(const PlanModel& model, const PlanRecipe* recipe) {
  if (!model.shape.empty()) {
    if (recipe == nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{} is a shape and has no file of its own: the recipe '{}' is for "
                              "models that are files",
                              model.name, kOwnFile));
    }
    const engine::SynthShape shape = Shape(model);
    return {static_cast<double>(engine::SynthParameters(shape)),
            static_cast<double>(engine::SynthBytes(shape, *recipe->recipe, recipe->options))};
  }
  const auto own = static_cast<double>(WeightBytes(model.path));
  if (recipe == nullptr) return {own / 2, own};
  return {own / 2, own / 2 * quant::Info(recipe->recipe->base).bits_per_weight() / 8};
}

double Work(const Metrics& metrics, double parameters, double bytes) {
  constexpr double kReadBytes = 10e9;   // a second
  constexpr double kWriteBytes = 1e9;   // making and loading a file
  constexpr double kOperations = 1e12;  // of passes of many tokens
  constexpr double kOverhead = 2;       // starting processes
  constexpr double kTokensATask = 100;  // of an item
  constexpr double kSmallTasks = 100;   // items, where there is no limit
  const double read = bytes / kReadBytes;
  const double token = 2 * parameters / kOperations;
  double work = kOverhead + 2 * bytes / kWriteBytes;
  if (const auto& speed = metrics.speed) {
    const auto rounds = static_cast<double>(speed->repetitions + 2);
    work += rounds * (static_cast<double>(speed->decode) * read +
                      static_cast<double>(speed->prefill) * token);
  }
  if (const auto& crossover = metrics.crossover) {
    const auto rounds = static_cast<double>(crossover->repetitions + 1);
    for (const size_t tokens : crossover->tokens) {
      work += 4 * rounds * std::max(read, static_cast<double>(tokens) * token);
    }
  }
  if (const auto& ppl = metrics.perplexity) {
    const size_t chunks = ppl->chunks > 0 ? ppl->chunks : 100;
    work += static_cast<double>(chunks * ppl->context) * token * (ppl->divergence ? 2 : 1);
  }
  if (const auto& tasks = metrics.tasks) {
    const double items = tasks->limit > 0 ? static_cast<double>(tasks->limit) : kSmallTasks;
    work += static_cast<double>(tasks->names.size()) * items * kTokensATask * token;
  }
  return work;
}

}  // namespace

std::vector<StudyCell> StudyCells(const Plan& plan, const Settings& settings,
                                  const fs::path& directory, const fs::path& program) {
  const std::string program_identity = ContentIdentity(program);
  Identities identities;
  const std::vector<size_t> threads =
      plan.threads.empty() ? std::vector<size_t>{settings.threads} : plan.threads;
  const CellFolder folder(directory);
  std::vector<StudyCell> cells;
  for (const std::string& recipe : plan.recipes) {
    const auto known = recipe == kOwnFile ? std::nullopt : std::optional(FindPlanRecipe(recipe));
    for (const PlanModel& model : plan.models) {
      const auto [parameters, bytes] = Size(model, known ? &*known : nullptr);
      for (const size_t count : threads) {
        StudyCell cell{.model = model,
                       .recipe = recipe,
                       .settings = settings,
                       .metrics = plan.metrics,
                       .name = model.name + "/" + recipe,
                       .file_bytes = bytes};
        cell.settings.threads = count;
        if (threads.size() > 1) cell.name += fmt::format("/{}", Counted(count, "thread"));
        if (!model.shape.empty()) {
          cell.metrics.perplexity.reset();
          cell.metrics.tasks.reset();
        }
        cell.program = program_identity;
        Identify(cell, identities);
        cell.work = Work(cell.metrics, parameters, bytes);
        // The key in the name: a file made from another source or by another build is not reused.
        cell.file = folder.path() / CellFileName(model.name, recipe, cell.key);
        cells.push_back(std::move(cell));
      }
    }
  }
  return cells;
}

bool InputsUnchanged(const StudyCell& cell) {
  if (FileStamp(cell.inputs) == cell.stamp) return true;
  try {
    for (size_t i = 0; i < cell.inputs.size(); ++i) {
      if (ContentIdentity(cell.inputs[i]) != cell.identities[i]) return false;
    }
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    return false;  // one is gone
  }
}

std::string LackOfRoom(double bytes, bool on_disk, const fs::path& directory) {
  constexpr double kGiB = 1 << 30;
  const auto memory = static_cast<double>(ReadMachineInfo().available_bytes);
  if (memory > 0 && bytes + kBesideWeights > memory) {
    return fmt::format("needs some {:.1f} GiB of memory, but {:.1f} GiB are available",
                       (bytes + kBesideWeights) / kGiB, memory / kGiB);
  }
  std::error_code failed;
  const auto space = fs::space(directory, failed);
  if (!failed && !on_disk && bytes + kRoomLeft > static_cast<double>(space.available)) {
    return fmt::format("needs some {:.1f} GiB in {}, but {:.1f} GiB are left",
                       (bytes + kRoomLeft) / kGiB, directory.string(),
                       static_cast<double>(space.available) / kGiB);
  }
  return "";
}

}  // namespace crossover::bench

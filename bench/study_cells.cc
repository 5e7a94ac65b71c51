#include "bench/study_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/fingerprint.h"
#include "base/json.h"
#include "base/output_file.h"
#include "bench/cell_folder.h"
#include "bench/machine_info.h"
#include "bench/system.h"
#include "engine/synth.h"
#include "quant/format.h"
#include "quant/recipe.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Caches, activations, logits and the program itself, beside the weights.
constexpr double kBesideWeights = 768.0 * (1 << 20);
constexpr double kRoomLeft = 256.0 * (1 << 20);  // on the disk, for results

json ModelIdentity(const PlanModel& model) {
  if (model.shape.empty()) return FileIdentity(model.path);
  return {model.shape, model.layers};
}

std::string CellKey(const StudyCell& cell, const std::string& program) {
  json inputs = json::array({ModelIdentity(cell.model)});
  if (const auto& metric = cell.metrics.perplexity) inputs.push_back(FileIdentity(metric->text));
  if (const auto& metric = cell.metrics.tasks) {
    for (const std::string& name : metric->names) {
      inputs.push_back(FileIdentity(metric->directory / (name + ".jsonl")));
    }
  }
  return Fingerprint(DumpJson(json{cell.name, inputs, cell.metrics, cell.settings, program}));
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
/// were two bytes each, and all of the recipe's format.
std::pair<double, double> Size(const PlanModel& model, const quant::Recipe& recipe) {
  if (!model.shape.empty()) {
    const engine::SynthShape shape = Shape(model);
    return {static_cast<double>(engine::SynthParameters(shape)),
            static_cast<double>(engine::SynthBytes(shape, recipe))};
  }
  const double parameters = static_cast<double>(WeightBytes(model.path)) / 2;
  return {parameters, parameters * quant::Info(recipe.base).bits_per_weight() / 8};
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
    work += static_cast<double>(chunks * ppl->context) * token;
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
  const std::string fingerprint = Fingerprint(ReadFile(program));
  const std::vector<size_t> threads =
      plan.threads.empty() ? std::vector<size_t>{settings.threads} : plan.threads;
  const CellFolder folder(directory);
  std::vector<StudyCell> cells;
  for (const std::string& recipe : plan.recipes) {
    for (const PlanModel& model : plan.models) {
      const auto [parameters, bytes] = Size(model, quant::FindRecipe(recipe));
      for (const size_t count : threads) {
        StudyCell cell{.model = model,
                       .recipe = recipe,
                       .settings = settings,
                       .metrics = plan.metrics,
                       .name = model.name + "/" + recipe,
                       .file_bytes = bytes};
        cell.settings.threads = count;
        if (threads.size() > 1) cell.name += fmt::format("/{} threads", count);
        if (!model.shape.empty()) {
          cell.metrics.perplexity.reset();
          cell.metrics.tasks.reset();
        }
        cell.key = CellKey(cell, fingerprint);
        cell.work = Work(cell.metrics, parameters, bytes);
        // The key in the name: a file made from another source or by another build is not reused.
        cell.file = folder.path() / CellFileName(model.name, recipe, cell.key);
        cells.push_back(std::move(cell));
      }
    }
  }
  return cells;
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

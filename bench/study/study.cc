#include "bench/study/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "bench/child.h"
#include "bench/machine/machine_info.h"
#include "bench/machine/system.h"
#include "bench/study/cell.h"
#include "bench/study/cell_folder.h"
#include "bench/study/record.h"
#include "bench/study/study_cells.h"
#include "bench/study/study_table.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// How often a process looks whether what others hold is done.
constexpr auto kLookAgain = std::chrono::milliseconds(200);

class Study {
 public:
  Study(const Plan& plan, const StudyOptions& options)
      : plan_(plan),
        options_(options),
        cells_(StudyCells(plan, options.settings, options.directory, options.executable)),
        folder_(options.directory),
        results_(ResultsPath(options.directory),
                 options.ranks.alone() ? ResultsFile::Access::kAlone : ResultsFile::Access::kShared,
                 [this](const ResultsFile& results) { ClearUp(results); }),
        table_(plan.name, Unfinished(), options.quiet) {}

  StudySummary Run() {
    summary_.cells = cells_.size();
    summary_.skipped = cells_.size() - Unfinished().size();
    std::vector<bool> done(cells_.size());
    for (size_t i = 0; i < cells_.size(); ++i) done[i] = results_.Finished(cells_[i].key);
    for (;;) {
      bool held = false;  // by others
      for (size_t i = 0; i < cells_.size(); ++i) {
        if (!done[i]) done[i] = TakeOrLeave(i);
        held = held || !done[i];
      }
      if (!held) break;
      ThrowIfInterrupted();
      std::this_thread::sleep_for(kLookAgain);
    }
    folder_.RemoveIfEmpty();
    return summary_;
  }

 private:
  std::vector<StudyCell> Unfinished() const {
    std::vector<StudyCell> cells;
    for (const StudyCell& cell : cells_) {
      if (!results_.Finished(cell.key)) cells.push_back(cell);
    }
    return cells;
  }

  /// Deletes what a process that died had made for cells, of this plan or an earlier one. Nobody
  /// else runs the study now.
  void ClearUp(const ResultsFile& results) const {
    for (const std::string& key : folder_.Begun()) {
      if (!results.Finished(key)) folder_.Remove(key);
    }
  }

  /// Measured, by whom ever, or failed in another process of this run.
  bool Done(const StudyCell& cell) const {
    if (options_.ranks.alone()) return results_.Finished(cell.key);
    const auto& records = results_.records();
    return std::any_of(records.begin(), records.end(), [&](const CellRecord& record) {
      return record.key == cell.key && (record.ok() || record.run == options_.ranks.run);
    });
  }

  /// Whether the cell is done now; if not, another process has it.
  bool TakeOrLeave(size_t number) {
    const StudyCell& cell = cells_[number];
    if (!results_.Claim(number)) return false;
    results_.Refresh();
    if (Done(cell)) {
      ++summary_.others;
      table_.Skip(cell);
    } else {
      folder_.Remove(cell.key);
      folder_.Begin(cell.key, plan_.keep_files);
      table_.Start(cell);
      RunCell(cell);
      table_.Finish(cell, results_.records().back());
    }
    results_.Release(number);
    return true;
  }

  /// The child's result, or its failure into `record.error`.
  std::optional<json> Step(const std::string& what, const std::string& argument,
                           CellRecord& record) {
    table_.Step(what);
    ChildResult child;
    try {
      child = RunChild(options_.executable, {kCellCommand, argument},
                       {.tick = [this] { table_.Tick(); }});
    } catch (const Error& error) {
      // A process that cannot be started costs its cell, as one that fails does.
      if (error.code() == ErrorCode::kInterrupted) throw;
      record.error = fmt::format("{}: {}", what, error.what());
      return std::nullopt;
    }
    if (!child.ok()) {
      record.error = fmt::format("{}: {}", what, child.Failure());
      return std::nullopt;
    }
    try {
      return ParseJson(child.output, {.name = what, .remedy = ""});
    } catch (const Error&) {
      record.error = fmt::format("{}: the cell's process wrote no result", what);
      return std::nullopt;
    }
  }

  std::optional<json> MakeFile(const StudyCell& cell, CellRecord& record) {
    if (cell.model.shape.empty()) {
      const QuantizeStep step{.source = cell.model.path,
                              .file = cell.file,
                              .recipe = cell.recipe,
                              .settings = cell.settings};
      return Step("quantising", CellArgument(step), record);
    }
    record.error = LackOfRoom(cell.file_bytes, false, folder_.path());
    if (!record.error.empty()) return std::nullopt;
    const SynthStep step{.shape = cell.model.shape,
                         .layers = cell.model.layers,
                         .file = cell.file,
                         .recipe = cell.recipe,
                         .settings = cell.settings};
    return Step("writing random weights", CellArgument(step), record);
  }

  /// The file to measure; nothing if there is none, for which `record.error` has the reason.
  fs::path Prepare(const StudyCell& cell, CellRecord& record) {
    const auto result = MakeFile(cell, record);
    if (!result) return {};
    const bool made = !result->value("in_recipe", false);
    if (made) {
      record.quantize_seconds = result->at("seconds").get<double>();
      record.fallbacks = result->at("fallbacks").get<size_t>();
    }
    const fs::path file = made ? cell.file : cell.model.path;
    if (fs::is_regular_file(file)) {
      const auto bytes = static_cast<double>(fs::file_size(file));
      record.error = LackOfRoom(bytes, true, folder_.path());
    }
    return record.error.empty() ? file : fs::path();
  }

  void Measure(const StudyCell& cell, const fs::path& file, CellRecord& record) {
    const MeasureStep step{.file = file,
                           .source = cell.model.path,
                           .settings = cell.settings,
                           .metrics = cell.metrics,
                           .limits = record.machine.limits};
    const auto result = Step("measuring", CellArgument(step), record);
    if (!result) return;
    try {
      record.measurement = result->get<Measurement>();
      // Not the file's, which will be gone.
      if (record.measurement->crossover) record.measurement->crossover->model = cell.name;
    } catch (const json::exception& error) {
      record.error = std::string("measuring: not a measurement: ") + error.what();
    }
  }

  /// Two builds of one version may differ in speed and in bits.
  std::string Build(const StudyCell& cell) const {
    return fmt::format("{} (build {})", options_.version, cell.program);
  }

  /// The key says what was measured: that must be what lay there all the time.
  static void CheckInputs(const StudyCell& cell, CellRecord& record) {
    if (InputsUnchanged(cell)) return;
    record.measurement.reset();
    record.error =
        "the model or a text was changed after the study began; the same call measures it again";
  }

  void RunCell(const StudyCell& cell) {
    const auto start = std::chrono::steady_clock::now();
    CellRecord record{.cell = cell.name,
                      .key = cell.key,
                      .run = options_.ranks.run,
                      .study = plan_.name,
                      .model = cell.model.name,
                      .recipe = cell.recipe,
                      .machine = Machine(cell),
                      .settings = cell.settings,
                      .version = Build(cell),
                      .date = UtcTimestamp()};
    try {
      const fs::path file = Prepare(cell, record);
      if (!file.empty()) Measure(cell, file, record);
      CheckInputs(cell, record);
    } catch (...) {
      folder_.Remove(cell.key);
      throw;
    }
    folder_.Remove(cell.key);
    record.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++(record.ok() ? summary_.measured : summary_.failed);
    if (record.ok()) {
      const std::vector<const Conditions*> all = record.measurement->conditions();
      summary_.disturbed +=
          std::any_of(all.begin(), all.end(), [](auto* c) { return c->disturbed(); }) ? 1 : 0;
    }
    results_.Append(record);
  }

  /// With the limits that hold for these threads on this host, measured once a study: all of its
  /// cells are held against the same. Disturbed limits are measured again for the next cell.
  MachineRecord Machine(const StudyCell& cell) {
    const Settings& settings = cell.settings;
    const std::string build = Build(cell);
    const std::string host = HostName();
    for (const CellRecord& record : results_.records()) {
      if (record.version == build && record.machine.host == host &&
          record.settings.threads == settings.threads && record.settings.isa == settings.isa &&
          record.machine.limits.read_bytes_s && record.machine.limits.disturbed.empty() &&
          record.machine.sharers == options_.ranks.sharers) {
        return record.machine;
      }
    }
    MachineRecord machine;
    const MachineInfo info = ReadMachineInfo();
    machine = {.host = host,
               .cpu = info.cpu,
               .cores = info.cores,
               .memory_bytes = info.memory_bytes,
               .sharers = options_.ranks.sharers};
    for (const CacheInfo& cache : info.caches) {
      machine.cache_bytes = std::max(machine.cache_bytes, cache.bytes);
    }
    CellRecord scratch;
    const LimitsStep step{.settings = settings};
    if (const auto result = Step("the machine's limits", CellArgument(step), scratch)) {
      machine.limits = result->get<Limits>();
    } else {
      machine.limits.reason = scratch.error;
    }
    return machine;
  }

  const Plan& plan_;
  const StudyOptions& options_;
  std::vector<StudyCell> cells_;
  CellFolder folder_;
  ResultsFile results_;
  StudyTable table_;
  StudySummary summary_;
};

}  // namespace

fs::path ResultsPath(const fs::path& directory) { return directory / "results.jsonl"; }

StudySummary RunStudy(const Plan& plan, const StudyOptions& options) {
  CreateStudyFolder(options.directory);
  return Study(plan, options).Run();
}

void CreateStudyFolder(const fs::path& directory) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) {
    throw Error(ErrorCode::kIo,
                fmt::format("cannot create {}: {}", directory.string(), failed.message()));
  }
}

}  // namespace crossover::bench

#include "bench/study.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/output_file.h"
#include "base/progress.h"
#include "bench/cell.h"
#include "bench/child.h"
#include "bench/machine_info.h"
#include "bench/record.h"
#include "bench/system.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Starting processes and loading cost as much as measuring this many bytes: for the ETA.
constexpr uint64_t kCellOverheadBytes = 16u << 20;

struct Cell {
  PlanModel model;
  std::string recipe = {};
  std::string name = {};  // "model/recipe"
  std::string key = {};
  fs::path file = {};  // what is measured
  bool own = false;    // `file` is made for the cell
  uint64_t work = 0;   // for the ETA
};

/// Names a file's content without reading it all: path, size and time of the last change.
json FileIdentity(const fs::path& path) {
  return {fs::absolute(path).lexically_normal().string(), fs::file_size(path),
          fs::last_write_time(path).time_since_epoch().count()};
}

/// All that could change a cell's figures.
std::string CellKey(const Plan& plan, const Cell& cell, const StudyOptions& options,
                    const std::string& program) {
  json inputs = json::array({FileIdentity(cell.model.path)});
  if (const auto& metric = plan.metrics.perplexity) inputs.push_back(FileIdentity(metric->text));
  if (const auto& metric = plan.metrics.tasks) {
    for (const std::string& name : metric->names) {
      inputs.push_back(FileIdentity(metric->directory / (name + ".jsonl")));
    }
  }
  return Fingerprint(json{cell.name, inputs, plan.metrics, options.settings, program}.dump());
}

std::vector<Cell> Cells(const Plan& plan, const StudyOptions& options) {
  const std::string program = Fingerprint(ReadFile(options.executable));
  std::vector<Cell> cells = {};
  for (const PlanModel& model : plan.models) {
    for (const std::string& recipe : plan.recipes) {
      Cell cell{.model = model, .recipe = recipe, .name = model.name + "/" + recipe};
      cell.key = CellKey(plan, cell, options, program);
      cell.work = fs::file_size(model.path) + kCellOverheadBytes;
      // The key in the name: a file made from another source or by another build is not reused.
      cell.file =
          options.directory / "models" / fmt::format("{}-{}-{}.gguf", model.name, recipe, cell.key);
      cells.push_back(std::move(cell));
    }
  }
  return cells;
}

class Study {
 public:
  Study(const Plan& plan, const StudyOptions& options)
      : plan_(plan), options_(options), results_(ResultsPath(options.directory)) {
    RemoveLeftovers();
    for (Cell& cell : Cells(plan, options)) {
      total_work_ += cell.work;
      cells_.push_back(std::move(cell));
    }
  }

  StudySummary Run() {
    summary_.cells = cells_.size();
    Progress progress(plan_.name, total_work_, !options_.quiet);
    uint64_t done = 0;
    size_t number = 0;
    for (Cell& cell : cells_) {
      ++number;
      if (results_.Finished(cell.key)) {
        ++summary_.skipped;
      } else {
        progress.Note(fmt::format("{}/{} {}", number, cells_.size(), cell.name));
        RunCell(cell, [&] { progress.Update(done); });
        Say(number, results_.records().back());
      }
      done += cell.work;
    }
    std::error_code ignored;
    fs::remove(options_.directory / "models", ignored);  // if empty
    return summary_;
  }

 private:
  using Tick = std::function<void()>;

  /// What a killed quantisation left. The results file's lock says that nobody writes them now.
  void RemoveLeftovers() {
    fs::create_directories(options_.directory / "models");
    for (const auto& entry : fs::directory_iterator(options_.directory / "models")) {
      if (entry.path().filename().string().find(".tmp-") != std::string::npos) {
        fs::remove(entry.path());
      }
    }
  }

  /// The child's result, or its failure into `record.error`.
  std::optional<json> Step(const std::string& what, const std::string& argument, const Tick& tick,
                           CellRecord& record) {
    const ChildResult child = RunChild(options_.executable, {kCellCommand, argument}, tick);
    if (!child.ok()) {
      record.error = fmt::format("{}: {}", what, child.Failure());
      return std::nullopt;
    }
    json result = json::parse(child.output, nullptr, false);
    if (!result.is_discarded()) return result;
    record.error = fmt::format("{}: the cell's process wrote no result", what);
    return std::nullopt;
  }

  bool Prepare(Cell& cell, const Tick& tick, CellRecord& record) {
    const QuantizeStep step{.source = cell.model.path,
                            .file = cell.file,
                            .recipe = cell.recipe,
                            .settings = options_.settings};
    const auto result = Step("quantising", CellArgument(step), tick, record);
    if (!result) return false;
    if (result->value("in_recipe", false)) {
      cell.file = cell.model.path;
      return true;
    }
    cell.own = true;
    record.quantize_seconds = result->at("seconds").get<double>();
    record.fallbacks = result->at("fallbacks").get<size_t>();
    return true;
  }

  void Measure(const Cell& cell, const Tick& tick, CellRecord& record) {
    const MeasureStep step{.file = cell.file,
                           .settings = options_.settings,
                           .metrics = plan_.metrics,
                           .limits = record.machine.limits};
    const auto result = Step("measuring", CellArgument(step), tick, record);
    if (!result) return;
    try {
      record.measurement = result->get<Measurement>();
    } catch (const json::exception& error) {
      record.error = std::string("measuring: not a measurement: ") + error.what();
    }
  }

  void RunCell(Cell& cell, const Tick& tick) {
    const auto start = std::chrono::steady_clock::now();
    CellRecord record{.cell = cell.name,
                      .key = cell.key,
                      .study = plan_.name,
                      .model = cell.model.name,
                      .recipe = cell.recipe,
                      .machine = Machine(tick),
                      .settings = options_.settings,
                      .version = options_.version,
                      .date = UtcTimestamp()};
    try {
      if (Prepare(cell, tick, record)) Measure(cell, tick, record);
    } catch (...) {
      Remove(cell);
      throw;
    }
    Remove(cell);
    record.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++(record.ok() ? summary_.measured : summary_.failed);
    results_.Append(record);
  }

  void Remove(const Cell& cell) const {
    if (!cell.own || plan_.keep_files) return;
    std::error_code ignored;
    fs::remove(cell.file, ignored);
  }

  const MachineRecord& Machine(const Tick& tick) {
    if (machine_) return *machine_;
    const MachineInfo info = ReadMachineInfo();
    machine_ =
        MachineRecord{.cpu = info.cpu, .cores = info.cores, .memory_bytes = info.memory_bytes};
    for (const CacheInfo& cache : info.caches) {
      machine_->cache_bytes = std::max(machine_->cache_bytes, cache.bytes);
    }
    CellRecord scratch;
    const LimitsStep step{.settings = options_.settings};
    if (const auto result = Step("limits", CellArgument(step), tick, scratch)) {
      machine_->limits = result->get<Limits>();
    } else {
      machine_->limits.reason = scratch.error;
    }
    return *machine_;
  }

  void Say(size_t number, const CellRecord& record) const {
    if (options_.quiet) return;
    std::string text = fmt::format("[{:>2}/{}] {:<24} ", number, cells_.size(), record.cell);
    if (!record.ok()) {
      text += "FAILED " + record.error;
    } else {
      const Measurement& m = *record.measurement;
      text += fmt::format("{:5.2f} BPW", m.effective_bpw);
      if (m.perplexity) text += fmt::format("  ppl {:8.4f}", m.perplexity->ppl);
      if (m.speed) {
        text += fmt::format("  prefill {:>6} tok/s  decode {:>6} tok/s",
                            Significant(m.speed->prefill.summary().median),
                            Significant(m.speed->decode.summary().median));
      }
    }
    // The progress bar may stand on the line.
    const char* clear = isatty(STDERR_FILENO) == 1 ? "\r\x1b[K" : "";
    fmt::print(stderr, "{}{}  ({:.1f} s)\n", clear, text, record.seconds);
  }

  const Plan& plan_;
  const StudyOptions& options_;
  ResultsFile results_;
  std::vector<Cell> cells_ = {};
  uint64_t total_work_ = 0;
  std::optional<MachineRecord> machine_ = {};
  StudySummary summary_;
};

}  // namespace

fs::path ResultsPath(const fs::path& directory) { return directory / "results.jsonl"; }

StudySummary RunStudy(const Plan& plan, const StudyOptions& options) {
  std::error_code failed;
  fs::create_directories(options.directory, failed);
  if (failed) {
    throw Error(ErrorCode::kIo,
                fmt::format("cannot create {}: {}", options.directory.string(), failed.message()));
  }
  return Study(plan, options).Run();
}

}  // namespace crossover::bench

// Where the numbers of a machine come from: published figures, or files that this program wrote.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "bench/predict/predict.h"
#include "bench/predict/published.h"

namespace crossover::bench {
namespace {

using nlohmann::json;

// A layer's barriers (engine/run/forward.h).
constexpr double kBarriersPerLayer = 10;

PredictMachine Nominal(const char* name, const char* source, double gb_s, double gop_s, double gb) {
  PredictMachine machine{.name = name,
                         .source = source,
                         .model = {.read_bytes_s = gb_s * 1e9, .rates = {{"", gop_s * 1e9, 0}}},
                         .memory_bytes = gb * 1e9};
  TakeLimitsRanges(RateKind::kNominal, machine);
  return machine;
}

/// Reads with all cores as somebody measured and published them, where the bus would allow more.
PredictMachine WithMeasuredReads(PredictMachine machine) {
  const Published published = LoadPublished();
  const PublishedMachine& known = *published.FindMachine(machine.name);
  machine.model.read_bytes_s = known.ReadBytesPerSecond(known.cores);
  TakeLimitsRanges(RateKind::kMeasured, machine);
  machine.source = fmt::format("measured reads: {}; {}", known.source, machine.source);
  return machine;
}

[[noreturn]] void RefuseThreads(const std::string& machine) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} says nothing of other numbers of threads; 'crossover bench machine "
                          "--json' does",
                          machine));
}

[[noreturn]] void Corrupt(const std::string& file, const std::string& what) {
  throw Error(ErrorCode::kCorruptFile,
              fmt::format("{}: {}; write it with 'crossover bench machine --json' or 'crossover "
                          "bench crossover --json'",
                          file, what));
}

/// The measured median under the key among rows of the most threads, but no more than `limit` (0:
/// any number), the best of them.
double BestOfMostThreads(const json& rows, const char* key, size_t limit, const auto& matches) {
  size_t threads = 0;
  double best = 0;
  for (const json& row : rows) {
    if (!matches(row) || !row.contains(key) || !row.at(key).is_number()) continue;
    const auto count = row.at("threads").get<size_t>();
    if (count < threads || (limit > 0 && count > limit)) continue;
    if (count > threads) best = 0;
    threads = count;
    best = std::max(best, row.at(key).get<double>());
  }
  return best;
}

TimeModel ModelOfLimits(const json& limits, size_t threads) {
  const auto is_memory = [](const json& row) {
    return row.at("level").get<std::string>().starts_with("memory");
  };
  TimeModel model;
  model.read_bytes_s = 1e9 * BestOfMostThreads(limits.at("bandwidth"), "gb_s", threads, is_memory);
  const auto all = [](const json&) { return true; };
  std::map<std::string, json> peaks;  // the rows of each unit
  std::vector<std::string> units;     // as they come
  for (const json& row : limits.at("peak")) {
    const auto [place, first] = peaks.emplace(row.at("unit").get<std::string>(), json::array());
    if (first) units.push_back(place->first);
    place->second.push_back(row);
  }
  for (const std::string& unit : units) {
    const double rate = 1e9 * BestOfMostThreads(peaks.at(unit), "gop_s", threads, all);
    if (rate > 0) model.rates.push_back({unit, rate, 0});
  }
  if (limits.contains("barrier")) {
    model.layer_s = 1e-6 * kBarriersPerLayer *
                    BestOfMostThreads(limits.at("barrier"), "microseconds", threads, all);
  }
  return model;
}

bool AnyDisturbed(const json& limits) {
  for (const char* list : {"bandwidth", "peak", "barrier"}) {
    if (!limits.contains(list)) continue;
    for (const json& row : limits.at(list)) {
      if (row.value("disturbed", false)) return true;
    }
  }
  return false;
}

bool Sane(const TimeModel& model) {
  const auto positive = [](double x) { return std::isfinite(x) && x > 0; };
  const auto not_negative = [](double x) { return std::isfinite(x) && x >= 0; };
  return positive(model.read_bytes_s) && not_negative(model.layer_s) && !model.rates.empty() &&
         std::all_of(model.rates.begin(), model.rates.end(), [&](const UnitRate& rate) {
           return positive(rate.operations_s) && not_negative(rate.unpack);
         });
}

/// Files from before it was written: as if the worst error were a standard deviation.
double RmsOfFit(const json& fit) {
  const double rms = fit.contains("rms") ? fit.at("rms").get<double>()
                                         : std::log1p(fit.at("worst_error").get<double>());
  return std::isfinite(rms) && rms >= 0 ? rms : 0;
}

PredictMachine MachineOfFile(const std::string& file, size_t threads) {
  PredictMachine machine{.name = file};
  try {
    const json content = ParseJson(
        ReadFile(file), {.name = file,
                         .remedy = "write it with 'crossover bench machine --json' or 'crossover "
                                   "bench crossover --json'"});
    if (content.contains("time_model")) {
      if (threads > 0) RefuseThreads(file);
      if (content.at("time_model").is_null())
        Corrupt(file, "too few cells were measured for a fit");
      content.at("time_model").at("model").get_to(machine.model);
      machine.source = fmt::format("fit to measured passes: median error {:.1f} %, worst {:.0f} %",
                                   100 * content.at("time_model").at("median_error").get<double>(),
                                   100 * content.at("time_model").at("worst_error").get<double>());
      machine.whole = FactorOfFit(RmsOfFit(content.at("time_model")));
    } else {
      machine.model = ModelOfLimits(content, threads);
      TakeLimitsRanges(RateKind::kMeasured, machine);
      machine.source = "measured limits: no pass is faster than this says";
      if (AnyDisturbed(content)) {
        machine.source +=
            "; some were disturbed as they were measured, so that the machine may be faster";
      }
    }
    machine.name = content.value("cpu", machine.name);
    machine.memory_bytes = content.value("memory_bytes", 0.0);
  } catch (const json::exception& error) {
    Corrupt(file, fmt::format("not what a machine is described by: {}", error.what()));
  }
  if (!Sane(machine.model)) {
    Corrupt(file, "no bandwidth of memory, or no rate of arithmetic, above zero");
  }
  return machine;
}

}  // namespace

void TakeLimitsRanges(RateKind kind, PredictMachine& machine) {
  static const Published published = LoadPublished();
  machine.read = ReachOfReading(published, kind);
  machine.arithmetic = ReachOfArithmetic(published);
}

std::span<const PredictMachine> NominalMachines() {
  // Bandwidth: transfers a second × bytes a transfer. Rate: cores × clock × 8-bit products and
  // additions a cycle, of the instruction that Crossover's kernels use.
  static const std::array<PredictMachine, 3> kMachines{
      // 4 cores × 2.4 GHz × 2 SDOT (128 bits) a cycle × 32 operations.
      WithMeasuredReads(
          Nominal("raspberry-pi-5",
                  "nominal arithmetic: 4 Cortex-A76 at 2.4 GHz, 2 SDOT a cycle (Arm Cortex-A76 "
                  "Software Optimization Guide)",
                  0, 4 * 2.4 * 2 * 32, 8)),
      // 5600 MT/s × 128 bits. 8 cores × 3.3 GHz × 2 VPDPBUSD of 256 bits a cycle × 64 operations.
      Nominal("laptop-ryzen-7840u",
              "nominal: two channels of DDR5-5600, 8 cores at the base clock of 3.3 GHz (AMD's "
              "specification of the Ryzen 7 7840U); 2 VPDPBUSD of 256 bits a cycle (AMD's Zen 4 "
              "Software Optimization Guide)",
              5.6 * 16, 8 * 3.3 * 2 * 64, 16),
      // 9600 MT/s × 64 bits. X4: 4 SDOT a cycle at 3.3 GHz; A720: 2 at 3.2 (three) and 3.0 (two).
      Nominal("phone-snapdragon-8-gen-3",
              "nominal: 64-bit LPDDR5X at 4800 MHz, Cortex-X4 at 3.3 GHz, Cortex-A720 three at 3.2 "
              "and two at 3.0 (Qualcomm's product brief); 4 and 2 SDOT a cycle (Arm's Software "
              "Optimization Guides)",
              9.6 * 8, (3.3 * 4 + (3 * 3.2 + 2 * 3.0) * 2) * 32, 12),
  };
  return kMachines;
}

PredictMachine LoadPredictMachine(const std::string& file_or_name, size_t threads) {
  std::string known;
  for (const PredictMachine& machine : NominalMachines()) {
    if (machine.name == file_or_name) {
      if (threads > 0) RefuseThreads(file_or_name);
      return machine;
    }
    known += " " + machine.name;
  }
  if (!std::filesystem::exists(file_or_name)) {
    throw Error(
        ErrorCode::kNotFound,
        fmt::format("{}: neither a file nor a known machine; known are{}", file_or_name, known));
  }
  return MachineOfFile(file_or_name, threads);
}

}  // namespace crossover::bench

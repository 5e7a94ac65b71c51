// The time of a pass from few numbers: bytes / bandwidth against operations / rate, and something
// fixed a layer.
//
//   communication = bytes / B
//   computation   = (operations + u · weights) / R
//   time          = max(communication, computation) + F · layers     or their sum + F · layers
//
// B and R are the machine's; R may differ from one arithmetic unit to another. F is what barriers
// and the steps between products take. u, 0 in the plainest form, is the program's: what unpacking
// a weight costs in operations, once a pass.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/crossover/crossover.h"
#include "bench/model/pass_work.h"

namespace crossover::bench {

struct UnitRate {
  std::string unit = {};  // as kernels::PeakLoop names it; empty: whatever unit there is
  double operations_s = 0;
  double unpack = 0;  // u, operations a weight
};

struct TimeModel {
  bool overlapped = true;  // the longer of both counts; false: their sum
  double read_bytes_s = 0;
  std::vector<UnitRate> rates = {};
  double layer_s = 0;

  /// That of the unit, or the one of no name; null if there is neither.
  const UnitRate* RateOf(std::string_view unit) const;
  double Communication(const PassWork& work) const { return work.bytes / read_bytes_s; }
  /// Precondition: RateOf(unit).
  double Computation(const PassWork& work, std::string_view unit) const;
  double Seconds(const PassWork& work, std::string_view unit) const;
};

/// What is left free in a fit, and how well it then does.
struct TimeModelFit {
  std::string name = {};
  size_t parameters = 0;
  TimeModel model = {};
  std::vector<double> errors = {};  // |predicted / measured - 1|, of each cell in order
  double median_error = 0;
  double worst_error = 0;
  double rms = 0;       // of log(predicted / measured)
  size_t left_out = 0;  // cells, because they were disturbed
};

/// B is the median of the cells' streams; R and u come from their passes with resident weights; so
/// that of the passes to be predicted only F, and whether the longer or the sum fits better, is
/// taken from themselves. By least squares of logarithms. Three forms, from plain to fine: one
/// rate; a rate a unit; a rate and u a unit. Cells that were disturbed are left out. Empty for
/// fewer than 4 others.
std::vector<TimeModelFit> FitTimeModels(std::span<const CrossoverModel> models);

/// The work of a measured cell, as the fit takes it.
PassWork WorkOfCell(const CrossoverModel& model, const CrossoverCell& cell);

/// A table of the fits for people, and below it how many cells were left out.
std::string TimeModelText(std::span<const TimeModelFit> fits);

void to_json(nlohmann::json& json, const TimeModel& model);
void from_json(const nlohmann::json& json, TimeModel& model);
void to_json(nlohmann::json& json, const TimeModelFit& fit);

}  // namespace crossover::bench

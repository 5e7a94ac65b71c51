#include "bench/predict/time_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/table.h"
#include "bench/summary.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

struct Sample {
  PassWork work;
  std::string unit;
  double seconds = 0;
};

enum class Form { kOneRate, kRateAUnit, kUnpack };

double RmsLog(const TimeModel& model, const std::vector<Sample>& samples) {
  double sum = 0;
  for (const Sample& s : samples) {
    const double error = std::log(model.Seconds(s.work, s.unit) / s.seconds);
    sum += error * error;
  }
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

/// Pattern search over positive numbers: each in turn by a factor up and down, the factor smaller
/// where none helps. Some cells and six numbers need no more.
double Search(TimeModel& model, const std::vector<double*>& free,
              const std::vector<Sample>& samples) {
  double best = RmsLog(model, samples);
  for (double step = 1; step > 1e-4;) {
    bool better = false;
    for (double* number : free) {
      for (const double factor : {std::exp(step), std::exp(-step)}) {
        const double before = *number;
        *number *= factor;
        const double rms = RmsLog(model, samples);
        if (rms < best * (1 - 1e-9)) {
          best = rms;
          better = true;
        } else {
          *number = before;
        }
      }
    }
    if (!better) step /= 2;
  }
  return best;
}

std::vector<Sample> Samples(std::span<const CrossoverModel> models,
                            std::vector<double> CrossoverCell::*seconds) {
  std::vector<Sample> samples;
  for (const CrossoverModel& model : models) {
    for (const CrossoverCell& cell : model.cells) {
      const double median = Summarise(cell.conditions.Kept(cell.*seconds)).median;
      if (median > 0) samples.push_back({WorkOfCell(model, cell), cell.unit, median});
    }
  }
  return samples;
}

double MedianBandwidth(std::span<const CrossoverModel> models) {
  std::vector<double> bandwidths;
  for (const Sample& s : Samples(models, &CrossoverCell::stream_s)) {
    bandwidths.push_back(s.work.bytes / s.seconds);
  }
  return Summarise(bandwidths).median;
}

constexpr double kFirstLayerSeconds = 1e-5;

/// Rates, u and an F of their own, fitted to the passes whose weights are resident.
TimeModel FitComputation(const std::vector<Sample>& resident, Form form) {
  TimeModel model{.read_bytes_s = std::numeric_limits<double>::infinity(),
                  .layer_s = kFirstLayerSeconds};
  double rate = 0;
  std::set<std::string> units;
  for (const Sample& s : resident) {
    rate = std::max(rate, s.work.operations / s.seconds);
    units.insert(form == Form::kOneRate ? "" : s.unit);
  }
  for (const std::string& unit : units) {
    model.rates.push_back({unit, rate, form == Form::kUnpack ? 1.0 : 0.0});
  }
  std::vector<double*> free{&model.layer_s};
  for (UnitRate& r : model.rates) {
    free.push_back(&r.operations_s);
    if (form == Form::kUnpack) free.push_back(&r.unpack);
  }
  Search(model, free, resident);
  return model;
}

TimeModelFit Fit(std::span<const CrossoverModel> models, Form form) {
  TimeModelFit fit;
  fit.name = form == Form::kOneRate     ? "bandwidth, one rate"
             : form == Form::kRateAUnit ? "bandwidth, a rate a unit"
                                        : "bandwidth, a rate a unit, unpacking";
  const std::vector<Sample> passes = Samples(models, &CrossoverCell::pass_s);
  TimeModel model = FitComputation(Samples(models, &CrossoverCell::resident_s), form);
  fit.parameters = 2 + model.rates.size() * (form == Form::kUnpack ? 2 : 1);
  model.read_bytes_s = MedianBandwidth(models);
  for (const bool overlapped : {true, false}) {
    model.overlapped = overlapped;
    model.layer_s = kFirstLayerSeconds;
    const double rms = Search(model, {&model.layer_s}, passes);
    if (overlapped || rms < fit.rms) {
      fit.rms = rms;
      fit.model = model;
    }
  }
  for (const Sample& s : passes) {
    fit.errors.push_back(std::abs(fit.model.Seconds(s.work, s.unit) / s.seconds - 1));
  }
  const Summary errors = Summarise(fit.errors);
  fit.median_error = errors.median;
  fit.worst_error = errors.max;
  return fit;
}

}  // namespace

const UnitRate* TimeModel::RateOf(std::string_view unit) const {
  const UnitRate* any = nullptr;
  for (const UnitRate& rate : rates) {
    if (rate.unit == unit) return &rate;
    if (rate.unit.empty()) any = &rate;
  }
  return any;
}

double TimeModel::Computation(const PassWork& work, std::string_view unit) const {
  const UnitRate* rate = RateOf(unit);
  return (work.operations + rate->unpack * work.weights) / rate->operations_s;
}

double TimeModel::Seconds(const PassWork& work, std::string_view unit) const {
  const double communication = Communication(work);
  const double computation = Computation(work, unit);
  return (overlapped ? std::max(communication, computation) : communication + computation) +
         layer_s * static_cast<double>(work.layers);
}

PassWork WorkOfCell(const CrossoverModel& model, const CrossoverCell& cell) {
  return {.bytes = cell.bytes,
          .operations = cell.operations,
          .weights = cell.weights,
          .layers = model.layers};
}

std::vector<TimeModelFit> FitTimeModels(std::span<const CrossoverModel> measured) {
  size_t left_out = 0;
  const std::vector<CrossoverModel> models = Undisturbed(measured, &left_out);
  constexpr size_t kLeast = 4;  // three numbers go through any three cells
  const size_t cells = Samples(models, &CrossoverCell::pass_s).size();
  if (cells < kLeast || Samples(models, &CrossoverCell::resident_s).size() < kLeast ||
      MedianBandwidth(models) <= 0) {
    return {};
  }
  std::vector<TimeModelFit> fits;
  for (const Form form : {Form::kOneRate, Form::kRateAUnit, Form::kUnpack}) {
    fits.push_back(Fit(models, form));
    fits.back().left_out = left_out;
  }
  return fits;
}

std::string TimeModelText(std::span<const TimeModelFit> fits) {
  Table table({{"time of a pass from", Table::Align::kLeft},
               {"rule", Table::Align::kLeft},
               {"GB/s"},
               {"GOP/s", Table::Align::kLeft},
               {"unpacking", Table::Align::kLeft},
               {"µs a layer"},
               {"median error"},
               {"worst"}});
  for (const TimeModelFit& fit : fits) {
    std::string rates, unpack;
    for (const UnitRate& rate : fit.model.rates) {
      const char* gap = rates.empty() ? "" : ", ";
      rates += fmt::format("{}{}{}{}", gap, rate.unit, rate.unit.empty() ? "" : " ",
                           Significant(rate.operations_s / 1e9));
      if (rate.unpack > 0) unpack += gap + Significant(rate.unpack);
    }
    table.AddRow({fit.name, fit.model.overlapped ? "max" : "sum",
                  Significant(fit.model.read_bytes_s / 1e9), rates, unpack,
                  Significant(fit.model.layer_s * 1e6), Percent(fit.median_error),
                  Percent(fit.worst_error)});
  }
  if (fits.empty() || fits.front().left_out == 0) return table.Text();
  return table.Text() + fmt::format("passes left out as disturbed: {}\n", fits.front().left_out);
}

void to_json(nlohmann::json& json, const TimeModel& model) {
  nlohmann::json rates = nlohmann::json::array();
  for (const UnitRate& rate : model.rates) {
    rates.push_back(
        {{"unit", rate.unit}, {"operations_s", rate.operations_s}, {"unpack", rate.unpack}});
  }
  json = {{"rule", model.overlapped ? "max" : "sum"},
          {"read_bytes_s", model.read_bytes_s},
          {"rates", rates},
          {"layer_s", model.layer_s}};
}

void from_json(const nlohmann::json& json, TimeModel& model) {
  model = {};
  model.overlapped = json.at("rule").get<std::string>() == "max";
  json.at("read_bytes_s").get_to(model.read_bytes_s);
  for (const nlohmann::json& rate : json.at("rates")) {
    model.rates.push_back({rate.at("unit").get<std::string>(),
                           rate.at("operations_s").get<double>(), rate.at("unpack").get<double>()});
  }
  json.at("layer_s").get_to(model.layer_s);
}

void to_json(nlohmann::json& json, const TimeModelFit& fit) {
  json = {{"name", fit.name},
          {"parameters", fit.parameters},
          {"model", fit.model},
          {"median_error", fit.median_error},
          {"worst_error", fit.worst_error},
          {"rms", fit.rms},
          {"left_out_disturbed", fit.left_out},
          {"errors", fit.errors}};
}

}  // namespace crossover::bench

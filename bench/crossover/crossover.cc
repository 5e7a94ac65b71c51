#include "bench/crossover/crossover.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace crossover::bench {

namespace {

/// The median over repetitions of figure(a, b, c).
template <class Figure>
double MedianOf(const CrossoverCell& cell, const Figure& figure) {
  const size_t n = std::min({cell.products_s.size(), cell.resident_s.size(), cell.stream_s.size()});
  std::vector<double> figures;
  for (size_t i = 0; i < n; ++i) {
    if (!cell.conditions.Keeps(i)) continue;
    figures.push_back(figure(cell.products_s[i], cell.resident_s[i], cell.stream_s[i]));
  }
  return Summarise(figures).median;
}

}  // namespace

double CrossoverCell::ratio() const {
  return MedianOf(*this, [](double, double b, double c) { return b > 0 ? c / b : 0; });
}

double CrossoverCell::overlap() const {
  return MedianOf(*this, [](double a, double b, double c) {
    const double shorter = std::min(b, c);
    return shorter > 0 ? (b + c - a) / shorter : 0;
  });
}

double CrossoverCell::overhead_s() const {
  return MedianOf(*this, [](double a, double b, double c) { return a - std::max(b, c); });
}

CrossoverCell::Shares CrossoverCell::shares() const {
  const double a = products().median;
  const double whole = std::max(pass().median, a);
  if (whole <= 0) return {};
  const double communication = std::min(stream().median, a);
  const double computation = std::min(resident().median, a - communication);
  return {.communication = communication / whole,
          .computation = computation / whole,
          .waiting = (a - communication - computation) / whole,
          .other = (whole - a) / whole};
}

std::optional<double> CrossoverModel::tokens_at_change() const {
  std::vector<BoundPoint> points;
  for (const CrossoverCell& cell : cells) {
    if (cell.conditions.disturbed()) continue;
    points.emplace_back(static_cast<double>(cell.tokens), cell.ratio());
  }
  return BoundChange(std::move(points));
}

CrossoverModel CrossoverModel::Undisturbed() const {
  CrossoverModel quiet = *this;
  std::erase_if(quiet.cells, [](const CrossoverCell& cell) { return cell.conditions.disturbed(); });
  return quiet;
}

std::vector<CrossoverModel> Undisturbed(std::span<const CrossoverModel> models, size_t* left_out) {
  std::vector<CrossoverModel> all;
  for (const CrossoverModel& model : models) {
    CrossoverModel quiet = model.Undisturbed();
    if (left_out != nullptr) *left_out += model.cells.size() - quiet.cells.size();
    if (!quiet.cells.empty()) all.push_back(std::move(quiet));
  }
  return all;
}

std::optional<double> BoundChange(std::vector<BoundPoint> points) {
  std::erase_if(points, [](const BoundPoint& p) { return p.first <= 0 || p.second <= 0; });
  std::sort(points.begin(), points.end());
  for (size_t i = 1; i < points.size(); ++i) {
    const auto [x0, r0] = points[i - 1];
    const auto [x1, r1] = points[i];
    if ((r0 > 1) == (r1 > 1)) continue;
    const double part = std::log(r0) / (std::log(r0) - std::log(r1));
    return std::exp(std::log(x0) + part * (std::log(x1) - std::log(x0)));
  }
  return std::nullopt;
}

void to_json(nlohmann::json& json, const CrossoverCell& cell) {
  const auto timing = [&](const std::vector<double>& samples) {
    const Summary s = Summarise(cell.conditions.Kept(samples));
    return nlohmann::json{
        {"median", s.median}, {"min", s.min}, {"max", s.max}, {"samples", samples}};
  };
  const CrossoverCell::Shares shares = cell.shares();
  json = {{"tokens", cell.tokens},
          {"bytes", cell.bytes},
          {"operations", cell.operations},
          {"weights", cell.weights},
          {"kernel", cell.kernel},
          {"unit", cell.unit},
          {"pass_s", timing(cell.pass_s)},
          {"products_s", timing(cell.products_s)},
          {"resident_s", timing(cell.resident_s)},
          {"stream_s", timing(cell.stream_s)},
          {"ratio", cell.ratio()},
          {"overlap", cell.overlap()},
          {"overhead_s", cell.overhead_s()},
          {"bound", cell.bound_by_communication() ? "communication" : "computation"},
          {"disturbed", cell.conditions.disturbed()},
          {"conditions", cell.conditions},
          {"shares",
           {{"communication", shares.communication},
            {"computation", shares.computation},
            {"waiting", shares.waiting},
            {"other", shares.other}}}};
}

void from_json(const nlohmann::json& json, CrossoverCell& cell) {
  cell = {};
  json.at("tokens").get_to(cell.tokens);
  json.at("bytes").get_to(cell.bytes);
  json.at("operations").get_to(cell.operations);
  json.at("weights").get_to(cell.weights);
  json.at("kernel").get_to(cell.kernel);
  json.at("unit").get_to(cell.unit);
  json.at("pass_s").at("samples").get_to(cell.pass_s);
  json.at("products_s").at("samples").get_to(cell.products_s);
  json.at("resident_s").at("samples").get_to(cell.resident_s);
  json.at("stream_s").at("samples").get_to(cell.stream_s);
  cell.conditions = ConditionsOf(json);
}

void to_json(nlohmann::json& json, const CrossoverModel& model) {
  const auto change = model.tokens_at_change();
  json = {{"model", model.model},
          {"format", model.format},
          {"effective_bpw", model.effective_bpw},
          {"parameters", model.parameters},
          {"layers", model.layers},
          {"threads", model.threads},
          {"isa", model.isa},
          {"resident_bytes", model.resident_bytes},
          {"cache", model.cache},
          {"tokens_at_change", change ? nlohmann::json(*change) : nlohmann::json(nullptr)},
          {"cells", model.cells}};
}

void from_json(const nlohmann::json& json, CrossoverModel& model) {
  model = {};
  json.at("model").get_to(model.model);
  json.at("format").get_to(model.format);
  json.at("effective_bpw").get_to(model.effective_bpw);
  json.at("parameters").get_to(model.parameters);
  json.at("layers").get_to(model.layers);
  json.at("threads").get_to(model.threads);
  json.at("isa").get_to(model.isa);
  json.at("resident_bytes").get_to(model.resident_bytes);
  json.at("cache").get_to(model.cache);
  json.at("cells").get_to(model.cells);
}

void to_json(nlohmann::json& json, const CrossoverMetric& metric) {
  json = {{"tokens", metric.tokens}, {"repetitions", metric.repetitions}};
}

void from_json(const nlohmann::json& json, CrossoverMetric& metric) {
  metric = {};
  metric.tokens = json.value("tokens", metric.tokens);
  metric.repetitions = json.value("repetitions", metric.repetitions);
}

}  // namespace crossover::bench

#include "bench/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "bench/setting_names.h"
#include "kernels/variants.h"

namespace crossover::bench {
namespace {

std::string SmallLetters(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

}  // namespace

engine::LoadMode Settings::load_mode() const {
  if (load == "mmap") return engine::LoadMode::kMmap;
  if (load == "ram") return engine::LoadMode::kRam;
  throw Error(ErrorCode::kInvalidArgument, "load: '" + load + "' is neither mmap nor ram");
}

engine::ModelOptions Settings::model_options() const {
  using engine::WeightLayout;
  if (weights != "mapped" && weights != "packed") {
    throw Error(ErrorCode::kInvalidArgument,
                "weights: '" + weights + "' is neither mapped nor packed");
  }
  return {.load = load_mode(),
          .weights = weights == "packed" ? WeightLayout::kPacked : WeightLayout::kMapped,
          .threads = threads};
}

engine::EngineOptions Settings::engine_options() const {
  engine::EngineOptions options;
  options.threads = threads;
  options.activations = ParseActivations(activations);
  options.kv_format = ParseKvFormat(kv_type);
  options.deterministic = deterministic;
  return options;
}

kernels::Activations ParseActivations(const std::string& name) {
  for (const kernels::NamedActivations& known : kernels::kActivationForms) {
    if (known.name == name) return known.form;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("activations: '{}' is none of {}", name,
                                                       fmt::join(ActivationNames(), ", ")));
}

quant::Format ParseKvFormat(const std::string& name) {
  for (const quant::Format format : kernels::KvFormats()) {
    if (SmallLetters(quant::Info(format).name) == name) return format;
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("kv_type: '{}' is none of {}", name, fmt::join(KvTypeNames(), ", ")));
}

std::vector<std::string> ActivationNames() {
  std::vector<std::string> names;
  for (const kernels::NamedActivations& known : kernels::kActivationForms) {
    names.emplace_back(known.name);
  }
  return names;
}

std::vector<std::string> KvTypeNames() {
  std::vector<std::string> names;
  for (const quant::Format format : kernels::KvFormats()) {
    names.push_back(SmallLetters(quant::Info(format).name));
  }
  return names;
}

void to_json(nlohmann::json& json, const Settings& settings) {
  json = {
      {"threads", settings.threads}, {"isa", settings.isa},   {"activations", settings.activations},
      {"kv_type", settings.kv_type}, {"load", settings.load}, {"weights", settings.weights}};
  if (settings.deterministic) json["deterministic"] = true;
}

void from_json(const nlohmann::json& json, Settings& settings) {
  json.at("threads").get_to(settings.threads);
  json.at("isa").get_to(settings.isa);
  json.at("activations").get_to(settings.activations);
  json.at("kv_type").get_to(settings.kv_type);
  json.at("load").get_to(settings.load);
  json.at("weights").get_to(settings.weights);
  settings.deterministic = json.value("deterministic", false);
}

}  // namespace crossover::bench

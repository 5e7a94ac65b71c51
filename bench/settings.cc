#include "bench/settings.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace crossover::bench {

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
  using kernels::Activations;
  constexpr std::array<std::pair<std::string_view, Activations>, 4> kNames{{
      {"auto", Activations::kAuto},
      {"f32", Activations::kF32},
      {"bf16", Activations::kBF16},
      {"q8", Activations::kQ8},
  }};
  for (const auto& [known, value] : kNames) {
    if (known == name) return value;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "activations: '" + name + "' is none of auto, f32, bf16, q8");
}

quant::Format ParseKvFormat(const std::string& name) {
  for (const char* known : {"f16", "bf16", "f32", "q8_0", "q4_0"}) {
    if (name != known) continue;
    if (const quant::FormatInfo* info = quant::FindFormat(name)) return info->format;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "kv_type: '" + name + "' is none of f16, bf16, f32, q8_0, q4_0");
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

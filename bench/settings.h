// The settings that every measurement is taken under, as text (plans, records, flags) and as what
// the engine wants.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/run/engine.h"

namespace crossover::bench {

struct Settings {
  size_t threads = 1;
  std::string isa = "auto";
  std::string activations = "auto";  // auto, f32, bf16, q8
  std::string kv_type = "f16";       // f16, bf16, f32, q8_0, q4_0
  std::string load = "mmap";         // mmap, ram
  std::string weights = "packed";    // mapped, packed
  bool deterministic = false;

  engine::LoadMode load_mode() const;
  engine::ModelOptions model_options() const;
  /// Threads, activations and KV format filled in; the rest is the caller's.
  engine::EngineOptions engine_options() const;
};

/// Error(kInvalidArgument) lists the known names.
kernels::Activations ParseActivations(const std::string& name);
quant::Format ParseKvFormat(const std::string& name);

void to_json(nlohmann::json& json, const Settings& settings);
/// nlohmann::json::exception names a missing or wrongly typed key.
void from_json(const nlohmann::json& json, Settings& settings);

}  // namespace crossover::bench

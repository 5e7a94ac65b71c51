#include "engine/hf_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "engine/gguf_cursor.h"
#include "engine/model_limits.h"
#include "kernels/attention.h"

namespace crossover::engine {
namespace {

constexpr double kDefaultRopeBase = 10000;
// Beyond any model by far, and small enough that products of two cannot overflow.
constexpr uint64_t kMaxSize = uint64_t{1} << 24;
// Each token costs some hundred bytes of memory before its text; 262,144 are the most of 2026.
constexpr uint64_t kMaxVocabulary = uint64_t{1} << 22;

struct KnownArchitecture {
  std::string_view hf, gguf;
};
constexpr std::array kArchitectures =
    std::to_array<KnownArchitecture>({{"LlamaForCausalLM", "llama"},
                                      {"MistralForCausalLM", "llama"},
                                      {"Qwen2ForCausalLM", "qwen2"}});

[[noreturn]] void Unsupported(const JsonObject& config, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", config.name(), what));
}

std::string Architecture(const JsonObject& config) {
  const nlohmann::json& names = config.Array("architectures");
  if (names.size() != 1 || !names[0].is_string()) {
    config.Fail("architectures", "does not hold one name");
  }
  const auto name = names[0].get<std::string>();
  std::vector<std::string_view> known;
  for (const KnownArchitecture& architecture : kArchitectures) {
    if (architecture.hf == name) return std::string(architecture.gguf);
    known.push_back(architecture.hf);
  }
  Unsupported(config, fmt::format("architecture {} cannot be converted; known: {}", Quoted(name),
                                  fmt::join(known, ", ")));
}

uint64_t Size(const JsonObject& config, std::string_view key) {
  const uint64_t size = config.Count(key);
  if (size == 0 || size > kMaxSize) {
    config.Fail(key, fmt::format("is {}, but 1 to {} make sense", size, kMaxSize));
  }
  return size;
}

/// Where the scaling of positions is described: rope_parameters (2025 and later, with the base) or
/// rope_scaling.
std::optional<JsonObject> RopeParameters(const JsonObject& config) {
  if (auto parameters = config.FindObject("rope_parameters")) return parameters;
  return config.FindObject("rope_scaling");
}

std::string RopeType(const std::optional<JsonObject>& rope) {
  if (!rope) return "default";
  if (const auto type = rope->FindString("rope_type")) return *type;
  return rope->FindString("type").value_or("default");
}

double RopeBase(const JsonObject& config, const std::optional<JsonObject>& rope) {
  const std::optional<double> base = rope && rope->Find("rope_theta")
                                         ? rope->FindFloat("rope_theta")
                                         : config.FindFloat("rope_theta");
  return base.value_or(kDefaultRopeBase);
}

/// Llama 3.1's stretching of slow rotations (arXiv 2407.21783): wavelengths below context / high
/// stay, those above context / low are divided by `factor`, between them a blend.
std::vector<float> Llama3Factors(const JsonObject& rope, double base, uint64_t head_dim) {
  const double factor = rope.Float("factor");
  const double low = rope.Float("low_freq_factor");
  const double high = rope.Float("high_freq_factor");
  const double context = rope.Float("original_max_position_embeddings");
  if (!(factor > 0 && low > 0 && high > low && context > 0)) {
    rope.Fail("factor", "and its neighbours do not describe a scaling");
  }
  std::vector<float> factors(head_dim / 2);
  for (size_t i = 0; i < factors.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    const double wavelength = 2 * std::numbers::pi * std::pow(base, exponent);
    const double smooth = std::clamp((context / wavelength - low) / (high - low), 0.0, 1.0);
    factors[i] = static_cast<float>(1.0 / ((1 - smooth) / factor + smooth));
  }
  return factors;
}

/// rope.scaling.*; what Llama 3 does stands in a tensor instead.
void AddRopeScaling(const JsonObject& config, const std::string& prefix, GgufMetadata& out) {
  const auto rope = RopeParameters(config);
  const std::string type = RopeType(rope);
  if (type == "default" || type == "llama3") return;
  const auto add = [&](std::string_view key, GgufValue value) {
    out.emplace_back(fmt::format("{}rope.scaling.{}", prefix, key), std::move(value));
  };
  if (type != "linear" && type != "yarn") {
    Unsupported(config, fmt::format("positions are scaled by {}, which cannot be converted; known: "
                                    "default, linear, yarn, llama3",
                                    Quoted(type)));
  }
  add("type", GgufText(type));
  add("factor", GgufFloat(rope->Float("factor")));
  if (type == "linear") return;
  const auto context = rope->FindCount("original_max_position_embeddings");
  add("original_context_length",
      GgufUint(context ? *context : config.Count("max_position_embeddings")));
  const auto add_float = [&](std::string_view hf, std::string_view gguf) {
    if (const auto value = rope->FindFloat(hf)) add(gguf, GgufFloat(*value));
  };
  add_float("extrapolation_factor", "yarn_ext_factor");
  add_float(rope->Find("attention_factor") ? "attention_factor" : "attn_factor",
            "yarn_attn_factor");
  add_float("beta_fast", "yarn_beta_fast");
  add_float("beta_slow", "yarn_beta_slow");
}

}  // namespace

GgufValue GgufUint(uint64_t value) { return {GgufType::kU32, {}, value}; }
GgufValue GgufFloat(double value) { return {GgufType::kF32, {}, value}; }
GgufValue GgufBool(bool value) { return {GgufType::kBool, {}, value}; }
GgufValue GgufText(std::string value) { return {GgufType::kString, {}, std::move(value)}; }

HfConfig ReadHfConfig(const JsonObject& config) {
  HfConfig out;
  out.architecture = Architecture(config);
  if (config.Find("quantization_config") != nullptr) {
    Unsupported(config, "the checkpoint is quantised already; convert the original one");
  }
  out.layers = Size(config, "num_hidden_layers");
  out.dim = Size(config, "hidden_size");
  if (out.dim > kMaxModelWidth) {
    config.Fail("hidden_size",
                fmt::format("is {}; rows of up to {} can be run", out.dim, kMaxModelWidth));
  }
  out.ffn_dim = Size(config, "intermediate_size");
  out.heads = Size(config, "num_attention_heads");
  out.kv_heads =
      config.Find("num_key_value_heads") ? Size(config, "num_key_value_heads") : out.heads;
  if (!config.Find("head_dim") && out.dim % out.heads != 0) {
    config.Fail("hidden_size",
                fmt::format("is {}, no multiple of the {} heads", out.dim, out.heads));
  }
  out.head_dim = config.Find("head_dim") ? Size(config, "head_dim") : out.dim / out.heads;
  if (out.head_dim > kernels::kMaxHeadDim) {
    config.Fail("head_dim", fmt::format("is {}; heads of up to {} can be run", out.head_dim,
                                        kernels::kMaxHeadDim));
  }
  if (out.head_dim % 2 != 0) config.Fail("head_dim", "is odd, so that positions have no pairs");
  if (out.heads % out.kv_heads != 0) {
    config.Fail("num_key_value_heads",
                fmt::format("is {}, which does not divide the {} heads", out.kv_heads, out.heads));
  }
  out.vocab = Size(config, "vocab_size");
  if (out.vocab > kMaxVocabulary) {
    config.Fail("vocab_size",
                fmt::format("is {}, but 1 to {} make sense", out.vocab, kMaxVocabulary));
  }
  out.tied = config.FindBool("tie_word_embeddings").value_or(false);
  const auto rope = RopeParameters(config);
  if (RopeType(rope) == "llama3") {
    out.rope_factors = Llama3Factors(*rope, RopeBase(config, rope), out.head_dim);
  }
  return out;
}

GgufMetadata HfConfigMetadata(const JsonObject& config, const HfConfig& facts,
                              const std::string& name) {
  const std::string prefix = facts.architecture + ".";
  GgufMetadata out = {{"general.architecture", GgufText(facts.architecture)},
                      {"general.type", GgufText("model")},
                      {"general.name", GgufText(name)}};
  const auto add = [&](std::string_view key, GgufValue value) {
    out.emplace_back(prefix + std::string(key), std::move(value));
  };
  add("block_count", GgufUint(facts.layers));
  add("context_length", GgufUint(Size(config, "max_position_embeddings")));
  add("embedding_length", GgufUint(facts.dim));
  add("feed_forward_length", GgufUint(facts.ffn_dim));
  add("attention.head_count", GgufUint(facts.heads));
  add("attention.head_count_kv", GgufUint(facts.kv_heads));
  AddRopeScaling(config, prefix, out);
  add("rope.freq_base", GgufFloat(RopeBase(config, RopeParameters(config))));
  add("attention.layer_norm_rms_epsilon", GgufFloat(config.Float("rms_norm_eps")));
  if (config.Find("head_dim")) {
    add("attention.key_length", GgufUint(facts.head_dim));
    add("attention.value_length", GgufUint(facts.head_dim));
  }
  if (facts.architecture == "llama") {
    add("vocab_size", GgufUint(facts.vocab));
    add("rope.dimension_count", GgufUint(facts.head_dim));
  }
  return out;
}

}  // namespace crossover::engine

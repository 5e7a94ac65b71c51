#include "engine/files/hf_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/hf_config_keys.h"
#include "engine/files/hf_family.h"
#include "engine/model/model_limits.h"
#include "kernels/attention.h"

namespace crossover::engine {
namespace {

// Beyond any model by far, and small enough that products of two cannot overflow.
constexpr uint64_t kMaxSize = uint64_t{1} << 24;

const HfFamily& FindFamily(const JsonObject& config) {
  const nlohmann::json& names = config.Array("architectures");
  if (names.size() != 1 || !names[0].is_string()) {
    config.Fail("architectures", "does not hold one name");
  }
  const auto name = names[0].get<std::string>();
  std::vector<std::string_view> known;
  for (const HfFamily* family : HfFamilies()) {
    if (family->model == name) return *family;
    known.push_back(family->model);
  }
  config.Unsupported(fmt::format("architecture {} cannot be converted; known: {}", Quoted(name),
                                 fmt::join(known, ", ")));
}

uint64_t Size(const JsonObject& config, std::string_view key) {
  const uint64_t size = config.Count(key);
  if (size == 0 || size > kMaxSize) {
    config.Fail(key, fmt::format("is {}, but 1 to {} make sense", size, kMaxSize));
  }
  return size;
}

/// layer_types, one a layer; empty if the file has none.
std::vector<bool> WindowedKinds(const JsonObject& config, uint64_t layers) {
  if (config.Find("layer_types") == nullptr) return {};
  const nlohmann::json& types = config.Array("layer_types");
  if (types.size() != layers) {
    config.Fail("layer_types", fmt::format("has {} entries for {} layers", types.size(), layers));
  }
  std::vector<bool> windowed(layers);
  for (uint64_t i = 0; i < layers; ++i) {
    const std::string type = types[i].is_string() ? types[i].get<std::string>() : "";
    windowed[i] = type == "sliding_attention";
    if (windowed[i] || type == "full_attention") continue;
    config.Unsupported(
        fmt::format("layer {} is of the kind {}; known: full_attention, "
                    "sliding_attention",
                    i, DumpJson(types[i]).substr(0, 40)));
  }
  return windowed;
}

/// A list of kinds must say what follows without it, but where it decides.
void ReadLayerTypes(const JsonObject& config, HfWindows windows, HfConfig& out) {
  const std::vector<bool> windowed = WindowedKinds(config, out.layers);
  if (windowed.empty()) return;
  const bool any = std::ranges::count(windowed, true) > 0;
  const bool decides = windows == HfWindows::kQwen2 || windows == HfWindows::kKinds;
  if (decides && (out.window != 0 || !any)) {
    out.window_layers = windowed;
  } else if (any && (out.window == 0 || windowed != out.window_layers)) {
    config.Fail("layer_types", "says something else than 'sliding_window' and the architecture");
  }
}

/// Another function belongs to another architecture.
void CheckActivation(const JsonObject& config, const HfFamily& family) {
  const auto act = config.FindString("hidden_act");
  if (!act || *act == family.activation) return;
  if (family.activation == "silu" && *act == "swish") return;
  // One approximation by three names.
  constexpr std::string_view kGelu = "gelu_pytorch_tanh";
  if (family.activation == kGelu && (*act == "gelu_new" || *act == "gelu_fast")) return;
  config.Unsupported(fmt::format("'hidden_act' is {}; only {} can be run in this architecture",
                                 Quoted(*act), family.activation));
}

/// transformers builds what model_type says, converters what `architectures` says.
void CheckModelType(const JsonObject& config, const HfFamily& family,
                    std::vector<std::string>& warnings) {
  const auto said = config.FindString("model_type");
  if (!said || *said == family.type) return;
  warnings.push_back(
      fmt::format("{}: 'model_type' is {}, but 'architectures' says {}, which counts",
                  config.name(), Quoted(*said), family.model));
}

/// Which layers see a window only, as transformers decides it (HfWindows).
void ReadWindows(const JsonObject& config, HfWindows windows, HfConfig& out) {
  constexpr uint64_t kDefaultWindow = 4096;
  constexpr uint64_t kDefaultFullLayers = 28;
  constexpr uint64_t kPeriod = 4;
  // Null says that there is none, but where a family has none anyway.
  const bool said = config.value().contains("sliding_window");
  const uint64_t window =
      config.Find("sliding_window") ? Size(config, "sliding_window") : uint64_t{0};
  out.window_layers.assign(out.layers, false);
  if (windows == HfWindows::kAll || windows == HfWindows::kAllSaid) {
    out.window = said || windows == HfWindows::kAllSaid ? window : kDefaultWindow;
    out.window_layers.assign(out.layers, true);
  } else if (windows == HfWindows::kKinds) {
    out.window = said ? window : kDefaultWindow;
    for (uint64_t i = 0; i < out.layers; ++i) out.window_layers[i] = (i + 1) % kPeriod != 0;
  } else if (windows == HfWindows::kQwen2 &&
             config.FindBool("use_sliding_window").value_or(false)) {
    out.window = said ? window : kDefaultWindow;
    const uint64_t full = config.FindCount("max_window_layers").value_or(kDefaultFullLayers);
    for (uint64_t i = full; i < out.layers; ++i) out.window_layers[i] = true;
  } else if (windows == HfWindows::kNone && window != 0 &&
             window < Size(config, "max_position_embeddings")) {
    out.warnings.push_back(
        fmt::format("{}: 'sliding_window' is not honoured: {} has none, in "
                    "transformers either",
                    config.name(), out.family->model));
  }
  ReadLayerTypes(config, windows, out);
  // Without effect within the context, and llama.cpp's converter writes none.
  if (out.window >= Size(config, "max_position_embeddings")) out.window = 0;
}

void AddWindows(const HfConfig& facts, const std::string& prefix, GgufMetadata& out) {
  out.emplace_back(prefix + "attention.sliding_window", GgufUint(facts.window));
  if (std::ranges::count(facts.window_layers, false) == 0) return;
  out.emplace_back(
      prefix + "attention.sliding_window_pattern",
      GgufValue{GgufType::kArray, GgufType::kBool,
                std::vector<int64_t>(facts.window_layers.begin(), facts.window_layers.end())});
}

}  // namespace

GgufValue GgufUint(uint64_t value) { return {GgufType::kU32, {}, value}; }
GgufValue GgufFloat(double value) { return {GgufType::kF32, {}, value}; }
GgufValue GgufBool(bool value) { return {GgufType::kBool, {}, value}; }
GgufValue GgufText(std::string value) { return {GgufType::kString, {}, std::move(value)}; }

double PositiveOf(const JsonObject& config, std::string_view key, double fallback) {
  const double value = fallback == 0 ? config.Float(key) : config.FindFloat(key).value_or(fallback);
  if (!(value > 0)) config.Fail(key, fmt::format("is {}, but must be above 0", value));
  return value;
}

HfConfig ReadHfConfig(const JsonObject& config) {
  HfConfig out;
  const HfFamily& family = FindFamily(config);
  out.family = &family;
  CheckModelType(config, family, out.warnings);
  if (config.Find("quantization_config") != nullptr) {
    config.Unsupported("the checkpoint is quantised already; convert the original one");
  }
  CheckHfConfigKeys(config, family, out.warnings);
  CheckActivation(config, family);
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
  const bool own_head_dim = config.Find("head_dim") != nullptr;
  const bool usual_head_dim = family.head_dim != 0 && !config.value().contains("head_dim");
  if (!own_head_dim && !usual_head_dim && out.dim % out.heads != 0) {
    config.Fail("hidden_size",
                fmt::format("is {}, no multiple of the {} heads", out.dim, out.heads));
  }
  out.head_dim = own_head_dim     ? Size(config, "head_dim")
                 : usual_head_dim ? family.head_dim
                                  : out.dim / out.heads;
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
  out.tied = config.FindBool("tie_word_embeddings").value_or(family.tied);
  out.qkv_bias = out.output_bias = config.FindBool("attention_bias");
  out.ffn_bias = config.FindBool("mlp_bias").value_or(false);
  ReadWindows(config, family.windows, out);
  out.rope = ReadHfRope(config, family, out.head_dim, out.warnings);
  if (family.read != nullptr) family.read(config, out);
  return out;
}

GgufMetadata HfConfigMetadata(const JsonObject& config, const HfConfig& facts,
                              const std::string& name) {
  const HfFamily& family = *facts.family;
  const std::string prefix = std::string(family.gguf) + ".";
  GgufMetadata out = {{"general.architecture", GgufText(std::string(family.gguf))},
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
  if (facts.window != 0) AddWindows(facts, prefix, out);
  for (const auto& [key, value] : facts.rope.keys) add(key, value);
  const bool rms = family.norm_eps == "rms_norm_eps";
  add(rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
      GgufFloat(config.Float(family.norm_eps)));
  if (facts.head_dim * facts.heads != facts.dim || config.Find("head_dim")) {
    add("attention.key_length", GgufUint(facts.head_dim));
    add("attention.value_length", GgufUint(facts.head_dim));
  }
  const bool llama = family.gguf == "llama";
  if (llama) add("vocab_size", GgufUint(facts.vocab));
  if (llama || family.may_rotate_parts) {
    add("rope.dimension_count", GgufUint(facts.rope.rotary_dim));
  }
  for (const auto& [key, value] : facts.own) add(key, value);
  return out;
}

}  // namespace crossover::engine

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
#include "engine/model/model_limits.h"
#include "kernels/attention.h"

namespace crossover::engine {
namespace {

// Beyond any model by far, and small enough that products of two cannot overflow.
constexpr uint64_t kMaxSize = uint64_t{1} << 24;

struct KnownArchitecture {
  std::string_view hf, type, gguf;  // `type`: model_type
};
constexpr std::array kArchitectures =
    std::to_array<KnownArchitecture>({{"LlamaForCausalLM", "llama", "llama"},
                                      {"MistralForCausalLM", "mistral", "llama"},
                                      {"Qwen2ForCausalLM", "qwen2", "qwen2"}});

const KnownArchitecture& FindArchitecture(const JsonObject& config) {
  const nlohmann::json& names = config.Array("architectures");
  if (names.size() != 1 || !names[0].is_string()) {
    config.Fail("architectures", "does not hold one name");
  }
  const auto name = names[0].get<std::string>();
  std::vector<std::string_view> known;
  for (const KnownArchitecture& architecture : kArchitectures) {
    if (architecture.hf == name) return architecture;
    known.push_back(architecture.hf);
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

/// A list of kinds must say what follows without it, but in Qwen2, where it decides.
void ReadLayerTypes(const JsonObject& config, HfConfig& out) {
  if (config.Find("layer_types") == nullptr) return;
  const nlohmann::json& types = config.Array("layer_types");
  if (types.size() != out.layers) {
    config.Fail("layer_types",
                fmt::format("has {} entries for {} layers", types.size(), out.layers));
  }
  std::vector<bool> windowed(out.layers);
  for (uint64_t i = 0; i < out.layers; ++i) {
    const std::string type = types[i].is_string() ? types[i].get<std::string>() : "";
    windowed[i] = type == "sliding_attention";
    if (windowed[i] || type == "full_attention") continue;
    config.Unsupported(
        fmt::format("layer {} is of the kind {}; known: full_attention, "
                    "sliding_attention",
                    i, DumpJson(types[i]).substr(0, 40)));
  }
  const bool any = std::ranges::count(windowed, true) > 0;
  if (out.architecture == "qwen2" && (out.window != 0 || !any)) {
    out.window_layers = windowed;
  } else if (any && (out.window == 0 || windowed != out.window_layers)) {
    config.Fail("layer_types", "says something else than 'sliding_window' and the architecture");
  }
}

/// Gates by another function than SiLU belong to other architectures.
void CheckActivation(const JsonObject& config) {
  const std::string act = config.FindString("hidden_act").value_or("silu");
  if (act == "silu" || act == "swish") return;
  config.Unsupported(
      fmt::format("'hidden_act' is {}; only silu can be run in this architecture", Quoted(act)));
}

/// transformers builds what model_type says, converters what `architectures` says.
void CheckModelType(const JsonObject& config, const KnownArchitecture& architecture,
                    std::vector<std::string>& warnings) {
  const auto said = config.FindString("model_type");
  if (!said || *said == architecture.type) return;
  warnings.push_back(
      fmt::format("{}: 'model_type' is {}, but 'architectures' says {}, which counts",
                  config.name(), Quoted(*said), architecture.hf));
}

/// Which layers see a window only, as transformers decides it: in Mistral all, by default of 4096;
/// in Qwen2, where use_sliding_window is true, those of layer_types, else from max_window_layers
/// on; in Llama none.
void ReadWindows(const JsonObject& config, std::string_view family, HfConfig& out) {
  constexpr uint64_t kDefaultWindow = 4096;
  constexpr uint64_t kDefaultFullLayers = 28;
  // Null says that there is none, as no key does but in Mistral and Qwen2.
  const bool said = config.value().contains("sliding_window");
  const uint64_t window =
      config.Find("sliding_window") ? Size(config, "sliding_window") : uint64_t{0};
  out.window_layers.assign(out.layers, false);
  if (family == "mistral") {
    out.window = said ? window : kDefaultWindow;
    out.window_layers.assign(out.layers, true);
  } else if (family == "qwen2" && config.FindBool("use_sliding_window").value_or(false)) {
    out.window = said ? window : kDefaultWindow;
    const uint64_t full = config.FindCount("max_window_layers").value_or(kDefaultFullLayers);
    for (uint64_t i = full; i < out.layers; ++i) out.window_layers[i] = true;
  } else if (family == "llama" && window != 0 && window < Size(config, "max_position_embeddings")) {
    out.warnings.push_back(
        fmt::format("{}: 'sliding_window' is not honoured: LlamaForCausalLM has "
                    "none, in transformers either",
                    config.name()));
  }
  ReadLayerTypes(config, out);
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

HfConfig ReadHfConfig(const JsonObject& config) {
  HfConfig out;
  const KnownArchitecture& architecture = FindArchitecture(config);
  out.architecture = architecture.gguf;
  CheckModelType(config, architecture, out.warnings);
  if (config.Find("quantization_config") != nullptr) {
    config.Unsupported("the checkpoint is quantised already; convert the original one");
  }
  CheckHfConfigKeys(config, out.warnings);
  CheckActivation(config);
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
  if (config.FindBool("mlp_bias").value_or(false)) {
    config.Unsupported("'mlp_bias' is true; biases of the feed-forward block cannot be run");
  }
  out.attention_bias = config.FindBool("attention_bias");
  ReadWindows(config, architecture.type, out);
  out.rope = ReadHfRope(config, out.head_dim, out.warnings);
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
  if (facts.window != 0) AddWindows(facts, prefix, out);
  for (const auto& [key, value] : facts.rope.keys) add(key, value);
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

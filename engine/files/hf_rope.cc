#include "engine/files/hf_rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>

#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/hf_config.h"
#include "engine/files/hf_family.h"
#include "engine/model/rope_config.h"

namespace crossover::engine {
namespace {

using nlohmann::json;

constexpr double kDefaultBase = 10000;
constexpr std::string_view kAlphaType = "dynamic";  // Hunyuan's: not that of other models

/// Newer files have one set of parameters for each kind of layer: those of the kind that is scaled,
/// if only one is, beside which the others rotate by the same base. Elsewhere there is one kind of
/// rotation, so that all sets have to be the same.
std::optional<JsonObject> Flattened(std::optional<JsonObject> rope, const HfFamily& family) {
  if (!rope) return rope;
  const json* only = nullptr;
  for (const auto& [key, value] : rope->value().items()) {
    if (!value.is_object()) continue;
    if (!family.scaled_layers.empty() && key != family.scaled_layers) {
      if (value.value("rope_type", "default") == "default") continue;
      rope->Unsupported(fmt::format("scales {} layers, which cannot be converted", Quoted(key)));
    }
    if (only != nullptr && *only != value) {
      rope->Unsupported("rotates different layers in different ways, which cannot be converted");
    }
    only = &value;
  }
  if (only == nullptr) return rope;
  for (const auto& [key, value] : rope->value().items()) {
    if (!value.is_object() ||
        value.value("rope_theta", json()) == only->value("rope_theta", json()))
      continue;
    rope->Unsupported("rotates different layers in different ways, which cannot be converted");
  }
  return JsonObject(*only, rope->name());
}

/// rope_scaling, or rope_parameters of 2025 and later, which has the base too.
std::optional<JsonObject> RopeParameters(const JsonObject& config, const HfFamily& family) {
  auto parameters = Flattened(config.FindObject("rope_parameters"), family);
  auto scaling = Flattened(config.FindObject("rope_scaling"), family);
  if (parameters && scaling && parameters->value() != scaling->value()) {
    config.Fail("rope_scaling", "says something else than 'rope_parameters'; remove one of them");
  }
  return parameters ? parameters : scaling;
}

std::string RopeType(const std::optional<JsonObject>& rope) {
  if (!rope) return "default";
  const auto older = rope->FindString("type");
  const auto type = rope->FindString("rope_type");
  if (type && older && *type != *older) {
    rope->Fail("rope_type", fmt::format("is {}, but 'type' is {}", Quoted(*type), Quoted(*older)));
  }
  return type ? *type : older.value_or("default");
}

/// Words of all kinds, and those of one.
struct TypeWords {
  std::string_view type;
  std::vector<std::string_view> words;
};

const TypeWords& WordsOf(const JsonObject& config, const HfFamily& family,
                         const std::string& type) {
  static const std::vector<TypeWords> known = {
      {"default", {}},
      {"linear", {"factor"}},
      {"yarn",
       {"factor", "original_max_position_embeddings", "attention_factor", "attn_factor",
        "extrapolation_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"}},
      {"llama3",
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
  };
  // A base stretched once and for all; the other words have no effect beside it.
  static const TypeWords alpha = {
      kAlphaType, {"alpha", "factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim"}};
  if (type == alpha.type && family.scaling_key == "alpha") return alpha;
  for (const TypeWords& words : known) {
    if (words.type == type) return words;
  }
  config.Unsupported(
      fmt::format("positions are scaled by {}, which cannot be converted; known: "
                  "default, linear, yarn, llama3",
                  Quoted(type)));
}

void CheckWords(const JsonObject& rope, const TypeWords& known, const HfFamily& family,
                std::vector<std::string>& warnings) {
  // `finetuned` is a note of how the model was made.
  std::vector<std::string_view> words = {"rope_type", "type", "rope_theta", "partial_rotary_factor",
                                         "finetuned"};
  words.insert(words.end(), known.words.begin(), known.words.end());
  if (!family.scaling_key.empty()) words.push_back(family.scaling_key);
  const std::vector<std::string> unknown = rope.KeysBeside(words);
  if (unknown.empty()) return;
  if (!family.tells_unknown_keys) {
    rope.Unsupported(
        fmt::format("{} not known here for the type {}, and may change what the model "
                    "computes; if not, remove them",
                    NameSome(unknown), known.type));
  }
  warnings.push_back(fmt::format("{}: {} not known here for the type {} and not honoured",
                                 rope.name(), NameSome(unknown), known.type));
}

/// How many of a head's dimensions turn. Where an architecture rotates whole heads, a part of one
/// fails in transformers too, or is ignored.
uint64_t RotaryDim(const JsonObject& config, const std::optional<JsonObject>& rope,
                   const HfFamily& family, uint64_t head_dim) {
  double part = family.rotated_part;
  for (const JsonObject* where : {&config, rope ? &*rope : nullptr}) {
    const auto said = where == nullptr ? std::nullopt : where->FindFloat("partial_rotary_factor");
    if (!said) continue;
    part = *said;
    if (*said == 1 || family.may_rotate_parts) continue;
    where->Unsupported(
        fmt::format("'partial_rotary_factor' is {}, but this architecture rotates "
                    "whole heads",
                    *said));
  }
  const auto turned =
      static_cast<uint64_t>(static_cast<double>(head_dim) * std::clamp(part, 0., 1.));
  if (part > 0 && part <= 1 && turned > 0 && turned % 2 == 0) return turned;
  config.Fail("partial_rotary_factor",
              fmt::format("is {}, which is no even part of heads of {}", part, head_dim));
}

/// Llama 3.1's stretching of slow rotations (arXiv 2407.21783): wavelengths below context / high
/// stay, those above context / low are divided by `factor`, between them a blend.
std::vector<float> Llama3Factors(const JsonObject& rope, double context, double base,
                                 uint64_t head_dim) {
  const double factor = rope.Float("factor");
  const double low = rope.Float("low_freq_factor");
  const double high = rope.Float("high_freq_factor");
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

double Positive(const JsonObject& rope, std::string_view key, double value) {
  if (!(value > 0)) rope.Fail(key, fmt::format("is {}, but must be above 0", value));
  return value;
}

/// Zero stands for the default there, as it does in transformers.
double FloatOr(const JsonObject& rope, std::string_view key, double fallback) {
  const double value = rope.FindFloat(key).value_or(0);
  return value == 0 ? fallback : Positive(rope, key, value);
}

/// What cosines and sines are multiplied by, YaRN's own factor included: attention_factor, else the
/// quotient of the two mscale, else 0.1 ln(factor) + 1; the last times attn_factor, which vLLM
/// reads.
double YarnAttentionFactor(const JsonObject& rope, double factor) {
  if (const auto said = rope.FindFloat("attention_factor")) {
    return Positive(rope, "attention_factor", *said);
  }
  const double mscale = rope.FindFloat("mscale").value_or(0);
  const double all = rope.FindFloat("mscale_all_dim").value_or(0);
  if (mscale == 0 || all == 0) {
    return FloatOr(rope, "attn_factor", 1) * YarnMagnitude(factor);
  }
  const auto magnitude = [&](double scale) { return 1 + scale * (YarnMagnitude(factor) - 1); };
  return Positive(rope, "mscale", magnitude(mscale) / magnitude(all));
}

class RopeReader {
 public:
  RopeReader(const JsonObject& config, std::optional<JsonObject> rope, uint64_t head_dim)
      : config_(config), rope_(std::move(rope)), head_dim_(head_dim) {
    const std::optional<double> base = rope_ && rope_->Find("rope_theta")
                                           ? rope_->FindFloat("rope_theta")
                                           : config_.FindFloat("rope_theta");
    base_ = base.value_or(kDefaultBase);
  }

  HfRope Read(const std::string& type) {
    if (type == "linear") {
      Add("scaling.type", GgufText(type));
      Add("scaling.factor", GgufFloat(rope_->Float("factor")));
    } else if (type == "llama3") {
      out_.factors = Llama3Factors(*rope_, OriginalContext(), base_, head_dim_);
    } else if (type == "yarn") {
      ReadYarn();
    } else if (type == kAlphaType) {
      const auto d = static_cast<double>(head_dim_);
      base_ *= std::pow(Positive(*rope_, "alpha", rope_->Float("alpha")), d / (d - 2));
    }
    Add("freq_base", GgufFloat(base_));
    return std::move(out_);
  }

 private:
  void Add(std::string_view key, GgufValue value) {
    out_.keys.emplace_back(fmt::format("rope.{}", key), std::move(value));
  }

  /// Of the first training. Beside the parameters it counts before what is among them.
  double OriginalContext() const {
    constexpr std::string_view kKey = "original_max_position_embeddings";
    if (const auto beside = config_.FindCount(kKey)) return static_cast<double>(*beside);
    if (const auto among = rope_->FindCount(kKey)) return static_cast<double>(*among);
    return static_cast<double>(config_.Count("max_position_embeddings"));
  }

  // GGUF's keys say how YaRN's ramp lies and what the usual magnitude is multiplied by. Bounds that
  // are not rounded they cannot say: then the divisors themselves go into a tensor.
  void ReadYarn() {
    const double context = OriginalContext();
    double factor = rope_->FindFloat("factor").value_or(0);
    if (factor == 0)
      factor = static_cast<double>(config_.Count("max_position_embeddings")) / context;
    Positive(*rope_, "factor", factor);
    const double magnitude = YarnAttentionFactor(*rope_, factor);
    Yarn yarn;
    yarn.extrapolation = rope_->FindFloat("extrapolation_factor").value_or(yarn.extrapolation);
    yarn.beta_fast = FloatOr(*rope_, "beta_fast", yarn.beta_fast);
    yarn.beta_slow = FloatOr(*rope_, "beta_slow", yarn.beta_slow);
    yarn.rounds_bounds = rope_->FindBool("truncate").value_or(true);
    if (!yarn.rounds_bounds) {
      RopeConfig config{.base = base_, .factor = factor, .yarn = yarn};
      config.original_context = static_cast<size_t>(context);
      out_.factors = RopeDivisors(config, head_dim_);
      if (magnitude != 1) Add("scaling.attn_factor", GgufFloat(magnitude));
      return;
    }
    Add("scaling.type", GgufText("yarn"));
    Add("scaling.factor", GgufFloat(factor));
    Add("scaling.original_context_length", GgufUint(static_cast<uint64_t>(context)));
    if (rope_->Find("extrapolation_factor")) {
      Add("scaling.yarn_ext_factor", GgufFloat(yarn.extrapolation));
    }
    // Times the usual magnitude, here and in llama.cpp.
    const double share = magnitude / YarnMagnitude(factor);
    if (share != 1) Add("scaling.attn_factor", GgufFloat(share));
    if (rope_->Find("beta_fast")) Add("scaling.yarn_beta_fast", GgufFloat(yarn.beta_fast));
    if (rope_->Find("beta_slow")) Add("scaling.yarn_beta_slow", GgufFloat(yarn.beta_slow));
  }

  const JsonObject& config_;
  const std::optional<JsonObject> rope_;
  const uint64_t head_dim_;
  double base_ = kDefaultBase;
  HfRope out_;
};

}  // namespace

HfRope ReadHfRope(const JsonObject& config, const HfFamily& family, uint64_t head_dim,
                  std::vector<std::string>& warnings) {
  auto rope = RopeParameters(config, family);
  const std::string type = RopeType(rope);
  const TypeWords& words = WordsOf(config, family, type);
  if (!family.tells_unknown_keys && !config.Find("rope_theta") &&
      !(rope && rope->Find("rope_theta"))) {
    config.Fail("rope_theta", "is missing");
  }
  const uint64_t rotary_dim = RotaryDim(config, rope, family, head_dim);
  if (rope) CheckWords(*rope, words, family, warnings);
  HfRope out = RopeReader(config, std::move(rope), rotary_dim).Read(type);
  out.rotary_dim = rotary_dim;
  return out;
}

}  // namespace crossover::engine

// Hyperparameters that decoder-only families have in common; see architecture.h.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/arch/architecture.h"
#include "engine/files/gguf_cursor.h"
#include "engine/model/model_limits.h"
#include "kernels/attention.h"

namespace crossover::engine {
namespace {

// Widths reach buffers of a fixed size and products of sizes; what these hold is checked here,
// once. With these limits, 2^30 for all other sizes and 2^20 tokens a batch no product of the
// forward pass overflows.
void CheckWidth(const Keys& keys, const std::string& key, size_t width, size_t most) {
  if (width <= most) return;
  keys.Fail(key, fmt::format("makes rows of {}; rows of up to {} can be run", width, most),
            ErrorCode::kUnsupported);
}

void ReadAttentionShape(const Keys& keys, ModelConfig& config) {
  config.heads = keys.Size("attention.head_count");
  config.kv_heads = keys.Size("attention.head_count_kv", config.heads);
  if (config.heads % config.kv_heads != 0) {
    keys.Fail("attention.head_count_kv", fmt::format("is {}, which does not divide the {} heads",
                                                     config.kv_heads, config.heads));
  }
  config.head_dim = keys.Size("attention.key_length", config.dim / config.heads);
  if (config.head_dim == 0) keys.Fail("attention.head_count", "exceeds the embedding length");
  if (config.head_dim > kernels::kMaxHeadDim) {
    keys.Fail(
        "attention.key_length",
        fmt::format("is {}; heads of up to {} can be run", config.head_dim, kernels::kMaxHeadDim),
        ErrorCode::kUnsupported);
  }
  CheckWidth(keys, "attention.head_count", config.heads * config.head_dim, kMaxModelRows);
  if (keys.Size("attention.value_length", config.head_dim) != config.head_dim) {
    keys.Fail("attention.value_length", "differs from the key length, which cannot be run",
              ErrorCode::kUnsupported);
  }
  config.rotary_dim = keys.Size("rope.dimension_count", config.head_dim);
  if (config.rotary_dim > config.head_dim || config.rotary_dim % 2 != 0) {
    keys.Fail("rope.dimension_count",
              fmt::format("is {}, but must be even and at most the head size {}", config.rotary_dim,
                          config.head_dim));
  }
  // 0 stands for "the usual".
  const double scale = keys.PositiveOrNone("attention.scale", 0);
  config.attention_scale = scale != 0 ? static_cast<float>(scale)
                                      : 1.0f / std::sqrt(static_cast<float>(config.head_dim));
}

// Kinds of routers, as expert_gating_func counts them. The last two come to the same here: a
// softmax over the chosen scores is the one over all, made to add up to 1.
constexpr size_t kSoftmaxRouter = 1;
constexpr size_t kSoftmaxOfChosen = 3;
// Far beyond any model: a choice costs time in proportion to both.
constexpr size_t kMostExperts = 4096;

void ReadExperts(const Keys& keys, ModelConfig& config) {
  ExpertsConfig& experts = config.experts;
  experts.count = keys.Size("expert_count");
  if (experts.count > kMostExperts) {
    keys.Fail("expert_count",
              fmt::format("is {}; up to {} can be run", experts.count, kMostExperts),
              ErrorCode::kUnsupported);
  }
  experts.used = keys.Size("expert_used_count");
  if (experts.used > experts.count) {
    keys.Fail("expert_used_count", fmt::format("is {} of {} experts", experts.used, experts.count));
  }
  const size_t router = keys.SizeOrNone("expert_gating_func", 0);
  if (router != 0 && router != kSoftmaxRouter && router != kSoftmaxOfChosen) {
    keys.Fail("expert_gating_func", fmt::format("is {}; only a softmax can be run", router),
              ErrorCode::kUnsupported);
  }
  experts.normed = router == kSoftmaxOfChosen || keys.Bool("expert_weights_norm", true);
  const double scale = keys.PositiveOrNone("expert_weights_scale", 1);
  experts.scale = scale == 0 ? 1.0f : static_cast<float>(scale);
  for (const char* key : {"expert_shared_count", "expert_shared_feed_forward_length",
                          "leading_dense_block_count", "expert_group_count"}) {
    if (keys.SizeOrNone(key, 0) == 0) continue;
    keys.Fail(key, "is not 0, which cannot be run", ErrorCode::kUnsupported);
  }
}

void ReadFeedForward(const Keys& keys, const DecoderTraits& traits, ModelConfig& config) {
  const char* width = "feed_forward_length";
  if (keys.SizeOrNone("expert_count", 0) != 0) {
    if (!traits.experts) {
      keys.Fail("expert_count", "is not 0; this architecture has no mixtures of experts here",
                ErrorCode::kUnsupported);
    }
    ReadExperts(keys, config);
    if (keys.Has("expert_feed_forward_length")) width = "expert_feed_forward_length";
  }
  config.ffn_dim = keys.Size(width);
  CheckWidth(keys, width, config.ffn_dim, kMaxModelRows);
}

size_t ReadVocabulary(const GgufFile& file) {
  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() < 2) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: token_embd.weight is missing or no matrix; this file holds no "
                            "model that can be run (a vocabulary only?)",
                            file.path()));
  }
  if (embedding->shape[1] > kMaxModelRows) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: token_embd.weight has {} rows; up to {} can be run", file.path(),
                            embedding->shape[1], kMaxModelRows));
  }
  return embedding->shape[1];
}

/// What YaRN multiplies by where the file does not say it in full: 0.1 ln(factor) + 1, or its
/// quotient with that of `mscale_all_dim`, which files call yarn_log_multiplier.
double UsualYarnMagnitude(const Keys& keys, double factor) {
  const double all = keys.PositiveOrNone("rope.scaling.yarn_log_multiplier", 0);
  const double magnitude = YarnMagnitude(factor);
  return magnitude / (1 + all * (magnitude - 1));
}

Yarn ReadYarn(const Keys& keys) {
  Yarn yarn;
  yarn.beta_fast = keys.Positive("rope.scaling.yarn_beta_fast", yarn.beta_fast);
  yarn.beta_slow = keys.Positive("rope.scaling.yarn_beta_slow", yarn.beta_slow);
  yarn.extrapolation = keys.PositiveOrNone("rope.scaling.yarn_ext_factor", yarn.extrapolation);
  return yarn;
}

}  // namespace

RopeConfig ReadRope(const Keys& keys, size_t context) {
  RopeConfig rope;
  rope.base = keys.Positive("rope.freq_base", rope.base);
  rope.original_context = keys.Size("rope.scaling.original_context_length", context);
  rope.magnitude = keys.Positive("rope.scaling.attn_factor", 1.0);
  // Files without a type may still have a factor, under this name or its older one.
  const std::string_view type = keys.String("rope.scaling.type", "linear");
  const double stretch =
      keys.PositiveOrNone("rope.scaling.factor", keys.PositiveOrNone("rope.scale_linear", 1.0));
  if (type == "linear" || type == "yarn") {
    rope.factor = stretch == 0 ? 1 : stretch;
  } else if (type != "none" && type != "longrope") {  // whose divisors are tensors
    keys.Fail("rope.scaling.type",
              fmt::format("is {}; known: none, linear, yarn, longrope (and Llama 3's "
                          "rope_freqs.weight)",
                          Quoted(type)),
              ErrorCode::kUnsupported);
  }
  if (type == "yarn") {
    rope.yarn = ReadYarn(keys);
    rope.magnitude *=
        keys.Positive("rope.scaling.yarn_attn_factor", UsualYarnMagnitude(keys, rope.factor));
  }
  return rope;
}

void SetWindows(const Keys& keys, size_t window, size_t period, ModelConfig& config) {
  const std::string key = "attention.sliding_window_pattern";
  const GgufValue* value = keys.Value(key);
  if (value != nullptr && value->type == GgufType::kArray) {
    const bool fits = ArrayCount(*value) == config.layers;
    const auto local = fits ? ReadIntegers(*value) : std::nullopt;
    if (!local) {
      keys.Fail(key, fmt::format("must say yes or no for each of the {} layers", config.layers));
    }
    for (size_t i = 0; i < config.layers; ++i) {
      config.layer[i].window = (*local)[i] != 0 ? window : 0;
    }
    return;
  }
  period = keys.SizeOrNone(key, period);
  for (size_t i = 0; i < config.layers; ++i) {
    const bool global = period != 0 && i % period == period - 1;
    config.layer[i].window = global ? 0 : window;
  }
}

void ReadScales(const Keys& keys, ModelConfig& config) {
  const auto scale = [&](const char* key) {
    const double value = keys.PositiveOrNone(key, 1);
    return value == 0 ? 1.0 : value;
  };
  config.embedding_scale = static_cast<float>(scale("embedding_scale"));
  config.residual_scale = static_cast<float>(scale("residual_scale"));
  config.logit_scale = static_cast<float>(1 / scale("logit_scale"));
}

ModelConfig ReadDecoderConfig(const GgufFile& file, const DecoderTraits& traits) {
  const Keys keys(file);
  ModelConfig config;
  config.architecture = file.String("general.architecture");
  config.name = file.FindString("general.name").value_or("");
  config.layers = keys.Size("block_count");
  // Every layer has tensors: a count that the file cannot hold is refused before room is made for
  // it.
  if (config.layers > file.tensors().size()) {
    keys.Fail("block_count", fmt::format("is {}, but the file has only {} tensors", config.layers,
                                         file.tensors().size()));
  }
  config.layer.resize(config.layers);
  config.dim = keys.Size("embedding_length");
  CheckWidth(keys, "embedding_length", config.dim, kMaxModelWidth);
  ReadFeedForward(keys, traits, config);
  config.context = keys.Size("context_length");
  config.norm = traits.norm;
  const bool rms = traits.norm == kernels::NormKind::kRms;
  config.norm_eps = static_cast<float>(
      keys.Positive(rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"));
  ReadAttentionShape(keys, config);
  config.rope_style = traits.rope;
  config.ropes[0] = ReadRope(keys, config.context);
  SetWindows(keys, keys.SizeOrNone("attention.sliding_window", 0), 0, config);
  config.vocab = ReadVocabulary(file);
  return config;
}

}  // namespace crossover::engine

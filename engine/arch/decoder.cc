// The common ground of decoder-only families; see architecture.h.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/arch/architecture.h"
#include "engine/gguf_cursor.h"

namespace crossover::engine {
namespace {

// Larger than any model there is, small enough that products of two cannot overflow.
constexpr uint64_t kMaxSize = uint64_t{1} << 30;

/// The keys of one architecture in one file.
class Keys {
 public:
  explicit Keys(const GgufFile& file)
      : file_(file), prefix_(std::string(file.String("general.architecture")) + ".") {}

  size_t Size(const std::string& key) const { return Checked(key, file_.Uint(prefix_ + key)); }
  size_t Size(const std::string& key, size_t fallback) const {
    const auto value = file_.FindUint(prefix_ + key);
    return value ? Checked(key, *value) : fallback;
  }
  float Positive(const std::string& key, double fallback) const {
    const double value = file_.FindFloat(prefix_ + key).value_or(fallback);
    if (!std::isfinite(value) || value <= 0) {
      Fail(key, fmt::format("is {}, but must be a positive number", value));
    }
    return static_cast<float>(value);
  }
  std::string_view String(const std::string& key, std::string_view fallback) const {
    return file_.FindString(prefix_ + key).value_or(fallback);
  }
  [[noreturn]] void Fail(const std::string& key, const std::string& what,
                         ErrorCode code = ErrorCode::kCorruptFile) const {
    throw Error(code, fmt::format("{}: {}{} {}", file_.path(), prefix_, key, what));
  }

 private:
  size_t Checked(const std::string& key, uint64_t value) const {
    if (value == 0 || value > kMaxSize) {
      Fail(key, fmt::format("is {}, but must be between 1 and {}", value, kMaxSize));
    }
    return value;
  }

  const GgufFile& file_;
  std::string prefix_;
};

void ReadAttentionShape(const Keys& keys, ModelConfig& config) {
  config.heads = keys.Size("attention.head_count");
  config.kv_heads = keys.Size("attention.head_count_kv", config.heads);
  if (config.heads % config.kv_heads != 0) {
    keys.Fail("attention.head_count_kv", fmt::format("is {}, which does not divide the {} heads",
                                                     config.kv_heads, config.heads));
  }
  const size_t fallback = config.dim / config.heads;
  config.head_dim = keys.Size("attention.key_length", fallback);
  if (config.head_dim == 0) keys.Fail("attention.head_count", "exceeds the embedding length");
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
}

void ReadRope(const Keys& keys, ModelConfig& config) {
  config.rope_base = keys.Positive("rope.freq_base", 10000.0);
  const std::string_view type = keys.String("rope.scaling.type", "none");
  if (type == "linear") {
    config.rope_scale = keys.Positive("rope.scaling.factor", 1.0);
  } else if (type != "none") {
    keys.Fail(
        "rope.scaling.type",
        fmt::format("is {}; known: none, linear (and Llama 3's rope_freqs.weight)", Quoted(type)),
        ErrorCode::kUnsupported);
  } else {
    config.rope_scale = keys.Positive("rope.scale_linear", 1.0);  // older files
  }
}

}  // namespace

ModelConfig ReadDecoderConfig(const GgufFile& file) {
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
  config.dim = keys.Size("embedding_length");
  config.ffn_dim = keys.Size("feed_forward_length");
  config.context = keys.Size("context_length");
  config.norm_eps = keys.Positive("attention.layer_norm_rms_epsilon", 1e-5);
  ReadAttentionShape(keys, config);
  ReadRope(keys, config);

  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() < 2) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: token_embd.weight is missing or no matrix; this file holds no "
                            "model that can be run (a vocabulary only?)",
                            file.path()));
  }
  config.vocab = embedding->shape[1];
  if (config.vocab > kMaxSize) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: token_embd.weight has {} rows", file.path(), config.vocab));
  }
  return config;
}

Weights BindEnds(TensorBinder& tensors, const ModelConfig& config) {
  Weights weights;
  weights.embedding = tensors.Matrix("token_embd.weight", config.vocab, config.dim);
  weights.output = tensors.Has("output.weight")
                       ? tensors.Matrix("output.weight", config.vocab, config.dim)
                       : weights.embedding;
  weights.output_norm = tensors.Vector("output_norm.weight", config.dim);
  weights.rope_factors = tensors.OptionalVector("rope_freqs.weight", config.rotary_dim / 2);
  if (config.rope_scale != 1.0f) {
    // Linear scaling divides every position, which is to multiply every pair's factor.
    std::vector<float> scaled(config.rotary_dim / 2, config.rope_scale);
    for (size_t i = 0; i < weights.rope_factors.size(); ++i) scaled[i] *= weights.rope_factors[i];
    weights.rope_factors = tensors.Keep(std::move(scaled));
  }
  return weights;
}

LayerWeights BindDecoderLayer(TensorBinder& tensors, const ModelConfig& config, size_t index) {
  const std::string prefix = fmt::format("blk.{}.", index);
  const size_t q_rows = config.heads * config.head_dim;
  const size_t kv_rows = config.kv_heads * config.head_dim;
  LayerWeights layer;
  layer.attention_norm = tensors.Vector(prefix + "attn_norm.weight", config.dim);
  layer.q = tensors.Matrix(prefix + "attn_q.weight", q_rows, config.dim);
  layer.k = tensors.Matrix(prefix + "attn_k.weight", kv_rows, config.dim);
  layer.v = tensors.Matrix(prefix + "attn_v.weight", kv_rows, config.dim);
  layer.q_bias = tensors.OptionalVector(prefix + "attn_q.bias", q_rows);
  layer.k_bias = tensors.OptionalVector(prefix + "attn_k.bias", kv_rows);
  layer.v_bias = tensors.OptionalVector(prefix + "attn_v.bias", kv_rows);
  layer.attention_out = tensors.Matrix(prefix + "attn_output.weight", config.dim, q_rows);
  layer.ffn_norm = tensors.Vector(prefix + "ffn_norm.weight", config.dim);
  layer.gate = tensors.Matrix(prefix + "ffn_gate.weight", config.ffn_dim, config.dim);
  layer.up = tensors.Matrix(prefix + "ffn_up.weight", config.ffn_dim, config.dim);
  layer.down = tensors.Matrix(prefix + "ffn_down.weight", config.dim, config.ffn_dim);
  return layer;
}

}  // namespace crossover::engine

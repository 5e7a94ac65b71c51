#include "engine/synth/synth_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <string_view>

#include "engine/synth/synth_vocabulary.h"
#include "quant/tensor_role.h"

namespace crossover::engine {
namespace {

constexpr uint64_t kQuantizationVersion = 2;  // the block layouts of ggml since 2023
constexpr double kNormSpread = 0.1;
constexpr double kBiasSpread = 0.1;

/// Llama 3.1's divisors of the RoPE frequencies (arXiv 2407.21783): 1 for wavelengths below
/// context/4, `stretch` above context/1, between them a blend, with the 8192 tokens of the first
/// training as context.
std::vector<float> Llama3RopeFactors(const SynthShape& shape) {
  constexpr double kContext = 8192;
  constexpr double kLow = 1;
  constexpr double kHigh = 4;
  std::vector<float> factors;
  for (uint32_t i = 0; i < shape.head_dim / 2; ++i) {
    const double wavelength =
        2 * std::numbers::pi * std::pow(shape.rope_base, 2.0 * i / shape.head_dim);
    const double fast = std::clamp((kContext / wavelength - kLow) / (kHigh - kLow), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - fast) / shape.rope_stretch + fast)));
  }
  return factors;
}

class TensorList {
 public:
  explicit TensorList(const SynthShape& shape) : s_(shape) {
    Ends();
    for (uint32_t i = 0; i < s_.layers; ++i) Layer(fmt::format("blk.{}.", i));
    std::ranges::sort(tensors_, {}, [](const SynthTensor& tensor) {
      return std::pair(quant::LayerOf(tensor.name), std::string_view(tensor.name));
    });
  }
  std::vector<SynthTensor> Take() { return std::move(tensors_); }

 private:
  void Matrix(const std::string& name, uint64_t columns, uint64_t rows) {
    tensors_.push_back(
        {name + ".weight", {columns, rows}, 0, 1 / std::sqrt(static_cast<double>(columns)), {}});
  }
  void Norm(const std::string& name, uint64_t size) {
    tensors_.push_back({name + ".weight", {size}, 1, kNormSpread, {}});
  }
  void Bias(const std::string& name, uint64_t size) {
    tensors_.push_back({name + ".bias", {size}, 0, kBiasSpread, {}});
  }

  void Ends() {
    Matrix("token_embd", s_.width, s_.vocabulary);
    Norm("output_norm", s_.width);
    if (!s_.tied) Matrix("output", s_.width, s_.vocabulary);
    if (s_.rope_stretch != 1) {
      tensors_.push_back({"rope_freqs.weight", {s_.head_dim / 2}, 0, 0, Llama3RopeFactors(s_)});
    }
  }

  void Layer(const std::string& layer) {
    Norm(layer + "attn_norm", s_.width);
    Norm(layer + "ffn_norm", s_.width);
    if (s_.family->post_norms) {
      Norm(layer + "post_attention_norm", s_.width);
      Norm(layer + "post_ffw_norm", s_.width);
    }
    Attention(layer);
    if (!s_.family->fused) Matrix(layer + "ffn_gate", s_.width, s_.ffn);
    Matrix(layer + "ffn_up", s_.width, (s_.family->fused ? 2 : 1) * uint64_t{s_.ffn});
    Matrix(layer + "ffn_down", s_.ffn, s_.width);
  }

  void Attention(const std::string& layer) {
    const uint64_t q_rows = uint64_t{s_.heads} * s_.head_dim;
    const uint64_t kv_rows = uint64_t{s_.kv_heads} * s_.head_dim;
    if (s_.family->fused) {
      Matrix(layer + "attn_qkv", s_.width, q_rows + 2 * kv_rows);
    } else {
      Matrix(layer + "attn_q", s_.width, q_rows);
      Matrix(layer + "attn_k", s_.width, kv_rows);
      Matrix(layer + "attn_v", s_.width, kv_rows);
    }
    if (s_.family->qkv_biases) {
      Bias(layer + "attn_q", q_rows);
      Bias(layer + "attn_k", kv_rows);
      Bias(layer + "attn_v", kv_rows);
    }
    Matrix(layer + "attn_output", q_rows, s_.width);
  }

  const SynthShape& s_;
  std::vector<SynthTensor> tensors_;
};

class MetadataList {
 public:
  void Uint(const std::string& key, uint64_t value) { Add(key, {GgufType::kU32, {}, value}); }
  void Uint64(const std::string& key, uint64_t value) { Add(key, {GgufType::kU64, {}, value}); }
  void Float(const std::string& key, double value) { Add(key, {GgufType::kF32, {}, value}); }
  void Bool(const std::string& key, bool value) { Add(key, {GgufType::kBool, {}, value}); }
  void String(const std::string& key, std::string_view value) {
    Add(key, {GgufType::kString, {}, std::string(value)});
  }
  void Strings(const std::string& key, std::vector<std::string> values) {
    Add(key, {GgufType::kArray, GgufType::kString, std::move(values)});
  }
  void Integers(const std::string& key, std::vector<int64_t> values) {
    Add(key, {GgufType::kArray, GgufType::kI32, std::move(values)});
  }
  std::vector<std::pair<std::string, GgufValue>> Take() { return std::move(entries_); }

 private:
  void Add(const std::string& key, GgufValue value) {
    entries_.emplace_back(key, std::move(value));
  }

  std::vector<std::pair<std::string, GgufValue>> entries_;
};

void AddShape(const SynthShape& shape, MetadataList& metadata) {
  const std::string a = std::string(shape.family->architecture) + ".";
  metadata.Uint(a + "block_count", shape.layers);
  metadata.Uint(a + "context_length", shape.context);
  metadata.Uint(a + "embedding_length", shape.width);
  metadata.Uint(a + "feed_forward_length", shape.ffn);
  metadata.Uint(a + "vocab_size", shape.vocabulary);
  metadata.Uint(a + "attention.head_count", shape.heads);
  metadata.Uint(a + "attention.head_count_kv", shape.kv_heads);
  metadata.Uint(a + "attention.key_length", shape.head_dim);
  metadata.Uint(a + "attention.value_length", shape.head_dim);
  metadata.Float(a + "attention.layer_norm_rms_epsilon", shape.norm_eps);
  metadata.Uint(a + "rope.dimension_count", shape.head_dim);
  metadata.Float(a + "rope.freq_base", shape.rope_base);
  const SynthFamily& family = *shape.family;
  if (family.sliding_window > 0) {
    metadata.Uint(a + "attention.sliding_window", family.sliding_window);
  }
  if (family.attention_soft_cap > 0) {
    metadata.Float(a + "attn_logit_softcapping", family.attention_soft_cap);
  }
  if (family.final_soft_cap > 0) {
    metadata.Float(a + "final_logit_softcapping", family.final_soft_cap);
  }
}

void AddTokenizer(const SynthShape& shape, MetadataList& metadata) {
  SynthVocabulary vocabulary = MakeSynthVocabulary(shape.vocabulary);
  metadata.String("tokenizer.ggml.model", "gpt2");
  metadata.String("tokenizer.ggml.pre", shape.family->pre_tokenizer);
  metadata.Strings("tokenizer.ggml.tokens", std::move(vocabulary.tokens));
  metadata.Integers("tokenizer.ggml.token_type", std::move(vocabulary.types));
  metadata.Strings("tokenizer.ggml.merges", std::move(vocabulary.merges));
  metadata.Uint("tokenizer.ggml.bos_token_id", vocabulary.bos);
  metadata.Uint("tokenizer.ggml.eos_token_id", vocabulary.eos);
  metadata.Bool("tokenizer.ggml.add_bos_token", shape.family->adds_bos);
}

}  // namespace

uint64_t SynthTensor::elements() const {
  return std::accumulate(shape.begin(), shape.end(), uint64_t{1}, std::multiplies<>());
}

std::vector<SynthTensor> SynthTensors(const SynthShape& shape) { return TensorList(shape).Take(); }

std::vector<std::pair<std::string, GgufValue>> SynthMetadata(const SynthShape& shape,
                                                             const quant::Recipe& recipe,
                                                             uint64_t seed) {
  MetadataList metadata;
  metadata.String("general.architecture", shape.family->architecture);
  metadata.String("general.type", "model");
  metadata.String("general.name", fmt::format("{} shape, random weights", shape.name));
  metadata.Uint("general.quantization_version", kQuantizationVersion);
  metadata.Uint("general.file_type", recipe.file_type);
  metadata.String("crossover.synth.shape", shape.name);
  metadata.Uint64("crossover.synth.seed", seed);
  AddShape(shape, metadata);
  AddTokenizer(shape, metadata);
  return metadata.Take();
}

}  // namespace crossover::engine

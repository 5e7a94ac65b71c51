#include "engine/files/hf_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/join_path.h"
#include "base/output_file.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/hf_config.h"
#include "engine/files/hf_family.h"
#include "engine/files/hf_tokenizer.h"
#include "engine/files/json_object.h"
#include "engine/files/safetensors.h"
#include "quant/format_list.h"

namespace crossover::engine {
namespace {

/// A tensor that the model must have, or may have, by both its names.
struct Expected {
  std::string hf, gguf;
  std::vector<uint64_t> shape;  // outermost first, as SafeTensors say it
  bool required = true;
  uint64_t halved_heads = 0;  // see GgufTensor
  float offset = 0;           // that is left out of a vector
};

/// All tensors of a model, one layer after the other.
class ExpectedTensors {
 public:
  explicit ExpectedTensors(const HfConfig& config) : c_(config), family_(*config.family) {
    Add("model.embed_tokens.weight", "token_embd.weight", {c_.vocab, c_.dim});
    for (uint64_t layer = 0; layer < c_.layers; ++layer) {
      hf_ = fmt::format("model.layers.{}.", layer);
      gguf_ = fmt::format("blk.{}.", layer);
      AddNorms();
      AddAttention();
      AddFeedForward();
    }
    hf_ = gguf_ = "";
    AddNorm(family_.final_norm, "output_norm", c_.dim);
    if (!c_.tied) Add("lm_head.weight", "output.weight", {c_.vocab, c_.dim});
    if (family_.logit_bias) Add("lm_head.bias", "output.bias", {c_.vocab});
  }
  std::vector<Expected> Take() { return std::move(all_); }

 private:
  Expected& Add(std::string_view from, std::string_view to, std::vector<uint64_t> shape) {
    return all_.emplace_back(
        Expected{hf_ + std::string(from), gguf_ + std::string(to), std::move(shape)});
  }

  void AddNorm(std::string_view from, std::string_view to, uint64_t size) {
    Add(fmt::format("{}.weight", from), fmt::format("{}.weight", to), {size}).offset =
        family_.norm_offset;
    if (family_.norm_biases) Add(fmt::format("{}.bias", from), fmt::format("{}.bias", to), {size});
  }

  void AddNorms() {
    for (const HfNorm& norm : family_.norms) {
      const uint64_t heads = norm.width == HfWidth::kQuery      ? c_.heads
                             : norm.width == HfWidth::kKeyValue ? c_.kv_heads
                                                                : 1;
      AddNorm(norm.hf, norm.gguf, norm.width == HfWidth::kDim ? c_.dim : heads * c_.head_dim);
    }
  }

  /// A matrix, and its bias where `biased`, or where there is one.
  void AddMatrix(std::string_view from, std::string_view to, uint64_t rows, uint64_t cols,
                 std::optional<bool> biased, uint64_t halved_heads = 0) {
    Add(fmt::format("{}.weight", from), fmt::format("{}.weight", to), {rows, cols}).halved_heads =
        halved_heads;
    if (!biased.value_or(true)) return;
    Expected& bias = Add(fmt::format("{}.bias", from), fmt::format("{}.bias", to), {rows});
    bias.required = biased.has_value();
    bias.halved_heads = halved_heads;
  }

  void AddAttention() {
    const uint64_t q_rows = c_.heads * c_.head_dim, kv_rows = c_.kv_heads * c_.head_dim;
    AddMatrix("self_attn.q_proj", "attn_q", q_rows, c_.dim, c_.qkv_bias,
              family_.halves ? c_.heads : 0);
    AddMatrix("self_attn.k_proj", "attn_k", kv_rows, c_.dim, c_.qkv_bias,
              family_.halves ? c_.kv_heads : 0);
    AddMatrix("self_attn.v_proj", "attn_v", kv_rows, c_.dim, c_.qkv_bias);
    AddMatrix(family_.output, "attn_output", c_.dim, q_rows, c_.output_bias);
  }

  void AddFeedForward() {
    if (family_.fused_gate_up) {
      AddMatrix("mlp.gate_up_proj", "ffn_up", 2 * c_.ffn_dim, c_.dim, c_.ffn_bias);
    } else {
      if (family_.gated) AddMatrix("mlp.gate_proj", "ffn_gate", c_.ffn_dim, c_.dim, c_.ffn_bias);
      AddMatrix(family_.up, "ffn_up", c_.ffn_dim, c_.dim, c_.ffn_bias);
    }
    AddMatrix(family_.down, "ffn_down", c_.dim, c_.ffn_dim, c_.ffn_bias);
  }

  const HfConfig& c_;
  const HfFamily& family_;
  std::string hf_, gguf_;  // of the layer
  std::vector<Expected> all_;
};

quant::Format FormatOf(const std::string& name, const SafetensorsTensor& tensor) {
  if (tensor.type == "F32") return quant::F32::kFormat;
  if (tensor.type == "F16") return quant::F16::kFormat;
  if (tensor.type == "BF16") return quant::BF16::kFormat;
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: tensor {} holds {}; only F32, F16 and BF16 weights are read",
                          tensor.file->path(), Quoted(name), tensor.type));
}

/// Takes tensors out of the map one by one; what is left in the end is unknown.
class TensorTaker {
 public:
  TensorTaker(std::string directory, SafetensorsMap tensors)
      : directory_(std::move(directory)), tensors_(std::move(tensors)) {}

  std::optional<GgufTensor> Take(const Expected& expected) {
    const auto it = tensors_.find(expected.hf);
    if (it == tensors_.end()) {
      if (!expected.required) return std::nullopt;
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("{}: tensor {} is missing (expected [{}])", directory_,
                              Quoted(expected.hf), fmt::join(expected.shape, ", ")));
    }
    const SafetensorsTensor source = std::move(it->second);
    tensors_.erase(it);
    if (source.shape != expected.shape) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("{}: tensor {} has shape [{}], but config.json asks for [{}]",
                              source.file->path(), Quoted(expected.hf),
                              fmt::join(source.shape, ", "), fmt::join(expected.shape, ", ")));
    }
    GgufTensor tensor;
    tensor.name = expected.gguf;
    tensor.format = FormatOf(expected.hf, source);
    tensor.shape.assign(source.shape.rbegin(), source.shape.rend());
    tensor.data = source.data;
    tensor.file = source.file;
    tensor.offset = source.offset;
    tensor.halved_heads = expected.halved_heads;
    const uint64_t number = quant::Info(tensor.format).block_bytes;
    if (reinterpret_cast<uintptr_t>(tensor.data.data()) % number != 0) {
      tensor.file = MappedFile::FromMemory(tensor.data, source.file->path());
      tensor.data = tensor.file->bytes();
      tensor.offset = 0;
    }
    return tensor;
  }

  void CheckNothingLeft() const {
    for (const auto& [name, tensor] : tensors_) {
      // Older checkpoints store the table of rotations, which follows from the configuration.
      if (name.ends_with(".rotary_emb.inv_freq")) continue;
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: tensor {} belongs to no part of this architecture that "
                              "Crossover knows",
                              tensor.file->path(), Quoted(name)));
    }
  }
  /// A tied output that is stored all the same.
  void Drop(const std::string& name) { tensors_.erase(name); }

 private:
  std::string directory_;
  SafetensorsMap tensors_;
};

GgufTensor FloatVector(std::string name, const std::vector<float>& values,
                       const std::string& path) {
  GgufTensor out;
  out.name = std::move(name);
  out.format = quant::F32::kFormat;
  out.shape = {values.size()};
  out.file = MappedFile::FromMemory(std::as_bytes(std::span(values)), path);
  out.data = out.file->bytes();
  return out;
}

/// Vectors are small and are read as float32 wherever they are used.
GgufTensor AsVector(const GgufTensor& tensor, float offset) {
  const uint64_t n = tensor.shape[0];
  std::vector<float> stored(n);
  quant::Info(tensor.format).decode(tensor.data.data(), n, stored.data());
  for (float& value : stored) value += offset;
  if (tensor.halved_heads == 0) return FloatVector(tensor.name, stored, tensor.file->path());
  std::vector<float> ordered(n);
  for (uint64_t i = 0; i < n; ++i) ordered[i] = stored[HalvedRow(i, n / tensor.halved_heads)];
  return FloatVector(tensor.name, ordered, tensor.file->path());
}

std::vector<GgufTensor> Tensors(const std::filesystem::path& directory, const HfConfig& config,
                                LoadMode mode) {
  SafetensorsMap map = OpenSafetensors(directory, mode);
  if (config.layers > map.size()) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: num_hidden_layers is {}, but there are {} tensors in all",
                            (directory / "config.json").string(), config.layers, map.size()));
  }
  TensorTaker taker(directory.string(), std::move(map));
  if (config.tied) taker.Drop("lm_head.weight");
  std::vector<GgufTensor> tensors;
  for (const Expected& entry : ExpectedTensors(config).Take()) {
    auto tensor = taker.Take(entry);
    if (!tensor) continue;
    tensors.push_back(tensor->shape.size() == 1 ? AsVector(*tensor, entry.offset)
                                                : std::move(*tensor));
  }
  taker.CheckNothingLeft();
  if (!config.rope.factors.empty()) {
    tensors.push_back(FloatVector("rope_freqs.weight", config.rope.factors, directory.string()));
  }
  return tensors;
}

std::optional<JsonObject> ReadIfThere(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return JsonObject::Read(path);
}

/// NAME.jinja by name; none where there is no such directory.
std::map<std::string, std::string> NamedTemplates(const std::filesystem::path& directory) {
  std::map<std::string, std::string> named;
  if (!std::filesystem::is_directory(directory)) return named;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".jinja" || !entry.is_regular_file()) continue;
    named[entry.path().stem().string()] = ReadFile(entry.path());
  }
  return named;
}

/// What GGUF calls general.name: the directory's, which is the model's where it was downloaded.
std::string ModelName(const std::filesystem::path& directory) {
  std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::string name = path.filename().string();
  std::ranges::replace(name, '-', ' ');
  return name;
}

}  // namespace

std::shared_ptr<const GgufFile> OpenHuggingFace(const std::filesystem::path& directory,
                                                LoadMode mode) {
  const JsonObject config = JsonObject::Read(directory / "config.json");
  const HfConfig facts = ReadHfConfig(config);
  GgufMetadata metadata = HfConfigMetadata(config, facts, ModelName(directory));
  // First, because they show that config.json's sizes are true before memory is taken for them.
  std::vector<GgufTensor> tensors = Tensors(directory, facts, mode);

  std::optional<std::string> chat_template;
  const auto jinja = JoinPath(directory, "chat_template.jinja");
  if (std::filesystem::exists(jinja)) chat_template = ReadFile(jinja);
  const HfTokenizerFiles files{JsonObject::Read(directory / "tokenizer.json"),
                               ReadIfThere(JoinPath(directory, "tokenizer_config.json")),
                               chat_template,
                               config,
                               ReadIfThere(JoinPath(directory, "special_tokens_map.json")),
                               ReadIfThere(JoinPath(directory, "chat_template.json")),
                               NamedTemplates(JoinPath(directory, "additional_chat_templates"))};
  std::vector<std::string> warnings = facts.warnings;
  std::ranges::move(HfTokenizerMetadata(files, facts.vocab, warnings),
                    std::back_inserter(metadata));
  return GgufFile::FromParts(directory.string(), std::move(metadata), std::move(tensors),
                             std::move(warnings));
}

}  // namespace crossover::engine

// What a file says about its model, and what it must not say: the tiny models of tests/data with a
// key or a tensor changed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/arch/architecture.h"
#include "engine/files/gguf_writer.h"
#include "engine/model/model.h"
#include "engine/run/engine.h"
#include "kernels/team.h"
#include "quant/f32/f32.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

GgufValue Uint(uint64_t value) { return {GgufType::kU32, {}, value}; }
GgufValue Float(double value) { return {GgufType::kF64, {}, value}; }
GgufValue Text(std::string value) { return {GgufType::kString, {}, std::move(value)}; }
GgufValue Bools(std::vector<int64_t> values) {
  return {GgufType::kArray, GgufType::kBool, std::move(values)};
}
GgufValue Sizes(std::vector<int64_t> values) {
  return {GgufType::kArray, GgufType::kI32, std::move(values)};
}

/// A tiny model's file, to be changed.
class Edited {
 public:
  explicit Edited(const std::string& name)
      : source_(GgufFile::Open(test::SourceRoot() / "tests" / "data" / (name + ".gguf"))),
        prefix_(std::string(source_->String("general.architecture")) + "."),
        metadata_(source_->metadata()),
        tensors_(source_->tensors()) {}

  /// `key` without the architecture's prefix.
  Edited& Set(const std::string& key, GgufValue value) {
    Remove(key);
    metadata_.emplace_back(prefix_ + key, std::move(value));
    return *this;
  }
  Edited& Remove(const std::string& key) {
    std::erase_if(metadata_, [&](const auto& entry) { return entry.first == prefix_ + key; });
    return *this;
  }
  /// Under another name, with the keys under the other prefix.
  Edited& Rename(const std::string& architecture) {
    for (auto& [key, value] : metadata_) {
      if (key == "general.architecture") value = Text(architecture);
      if (key.starts_with(prefix_)) key = architecture + "." + key.substr(prefix_.size());
    }
    prefix_ = architecture + ".";
    return *this;
  }
  std::vector<GgufTensor>& tensors() { return tensors_; }

  std::shared_ptr<const GgufFile> Write() const {
    std::vector<GgufTensorInfo> infos;
    for (const GgufTensor& t : tensors_) infos.push_back({t.name, t.format, t.shape});
    GgufWriter writer(directory_ / "edited.gguf", metadata_, infos);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      writer.Append(tensors_[i].data.first(infos[i].bytes()));
    }
    writer.Commit();
    return GgufFile::Open(directory_ / "edited.gguf");
  }
  std::shared_ptr<const Model> Load() const { return Model::FromFile(Write()); }
  /// What loading is refused with; empty if it is not.
  std::string Refusal() const {
    try {
      (void)Load();
      return {};
    } catch (const Error& error) {
      CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
      return error.what();
    }
  }

 private:
  test::TemporaryDirectory directory_;
  std::shared_ptr<const GgufFile> source_;
  std::string prefix_;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<GgufTensor> tensors_;
};

using test::Contains;

const std::vector<std::string> kOneOfEach{
    "tiny-llama3",  "tiny-qwen2", "tiny-qwen3",   "tiny-phi3-long", "tiny-gemma2",  "tiny-gemma3",
    "tiny-smollm3", "tiny-olmo3", "tiny-granite", "tiny-glm4",      "tiny-gpt-oss", "tiny-qwen3moe",
    "tiny-gptneox", "tiny-gpt2",  "tiny-phi2",    "tiny-cohere2",   "tiny-nemotron"};

TEST_CASE("arch: a factor beside a matrix is refused, not ignored, unless it is one") {
  for (const float factor : {1.0f, 0.5f}) {
    Edited file("tiny-llama3");
    GgufTensor scale = file.tensors().back();
    scale.name = "blk.0.attn_q.scale";
    scale.format = quant::F32::kFormat;
    scale.shape = {1};
    scale.data = std::as_bytes(std::span(&factor, 1));
    file.tensors().push_back(scale);
    const std::string refusal = file.Refusal();
    if (factor == 1.0f) {
      CHECK(refusal.empty());
    } else {
      CHECK(Contains(refusal, "blk.0.attn_q.scale"));
      CHECK(Contains(refusal, "0.5"));
    }
  }
}

TEST_CASE("arch: a width beyond what buffers hold is refused, whatever else the file says") {
  constexpr uint64_t kWidest = kernels::Team::kScratchBytes / sizeof(float);
  struct Case {
    const char* key;
    uint64_t value;
    const char* limit;
  };
  const Case cases[] = {
      {"embedding_length", kWidest + 1, "524288"},
      {"embedding_length", 1 << 20, "524288"},
      {"attention.key_length", 1026, "1024"},
      {"attention.head_count", 1 << 27, "134217728"},
      {"attention.head_count", uint64_t{1} << 31, "1073741824"},
      {"feed_forward_length", (1 << 27) + 1, "134217728"},
      {"context_length", (uint64_t{1} << 30) + 1, "1073741824"},
      {"block_count", 1 << 20, "tensors"},
  };
  for (const std::string name : {"tiny-llama", "tiny-gemma3", "tiny-phi3-long"}) {
    for (const Case& c : cases) {
      Edited file(name);
      file.Set("attention.key_length", Uint(16)).Set("attention.value_length", Uint(16));
      file.Set(c.key, Uint(c.value));
      const std::string refusal = file.Refusal();
      CAPTURE(name);
      CAPTURE(refusal);
      CHECK(Contains(refusal, c.key));
      CHECK(Contains(refusal, c.limit));
      CHECK(Contains(refusal, "edited.gguf"));
    }
    // The widest that buffers hold is only wrong for these tensors.
    Edited widest(name);
    widest.Set("attention.key_length", Uint(16)).Set("attention.value_length", Uint(16));
    widest.Set("embedding_length", Uint(kWidest));
    CHECK(Contains(widest.Refusal(), "token_embd.weight has shape"));
  }
}

TEST_CASE("arch: a missing tensor is named, unless the model can do without") {
  for (const std::string& name : kOneOfEach) {
    CAPTURE(name);
    const size_t count = Edited(name).tensors().size();
    for (size_t i = 0; i < count; ++i) {
      Edited file(name);
      const std::string tensor = file.tensors()[i].name;
      CAPTURE(tensor);
      file.tensors().erase(file.tensors().begin() + static_cast<ptrdiff_t>(i));
      // GLM-4's small models have no biases; logits have one where there is one.
      const bool optional = tensor == "output.weight" || tensor == "rope_freqs.weight" ||
                            tensor == "output.bias" ||
                            (name == "tiny-glm4" && tensor.ends_with(".bias"));
      const std::string refusal = file.Refusal();
      CHECK(refusal.empty() == optional);
      if (!optional) CHECK(Contains(refusal, tensor));
    }
  }
}

TEST_CASE("arch: a tensor of another shape is named with both shapes") {
  for (const std::string& name : kOneOfEach) {
    CAPTURE(name);
    const size_t count = Edited(name).tensors().size();
    for (size_t i = 0; i < count; ++i) {
      Edited file(name);
      GgufTensor& tensor = file.tensors()[i];
      CAPTURE(tensor.name);
      if (tensor.name == "token_embd.weight") continue;  // says what the vocabulary is
      const std::string due = fmt::format("[{}]", fmt::join(tensor.shape, ", "));
      tensor.shape.back() -= 1;
      const std::string refusal = file.Refusal();
      CHECK(Contains(refusal, tensor.name));
      CHECK(Contains(refusal, due));
      CHECK(Contains(refusal, fmt::format("[{}]", fmt::join(tensor.shape, ", "))));
    }
  }
}

TEST_CASE("arch: a tensor that no layer has is refused, not ignored") {
  Edited file("tiny-llama");
  file.tensors().push_back(file.tensors().back());
  file.tensors().back().name = "blk.1.ffn_sub_norm.weight";
  CHECK(Contains(file.Refusal(), "blk.1.ffn_sub_norm.weight"));
}

TEST_CASE("arch: an unknown architecture is told the known ones") {
  const std::string refusal = Edited("tiny-llama").Rename("mamba").Refusal();
  CHECK(Contains(refusal, "mamba"));
  for (const Architecture& architecture : Architectures()) {
    CHECK(Contains(refusal, std::string(architecture.name)));
  }
}

TEST_CASE("arch: absurd hyperparameters are refused with their key") {
  struct Case {
    const char* model;
    const char* key;
    GgufValue value;
  };
  const std::vector<Case> cases{
      {"tiny-llama", "block_count", Uint(0)},
      {"tiny-llama", "block_count", Uint(0xFFFFFFFF)},
      {"tiny-llama", "attention.head_count", Uint(0)},
      {"tiny-llama", "attention.head_count", Uint(4000)},
      {"tiny-llama", "attention.head_count_kv", Uint(3)},
      {"tiny-llama", "attention.head_count_kv", Uint(0)},
      {"tiny-llama", "attention.head_count_kv", Sizes({2, 4})},
      {"tiny-llama", "attention.head_count_kv", Sizes({})},
      {"tiny-llama", "attention.head_count_kv", Sizes({-2, -2})},
      {"tiny-llama", "attention.key_length", Uint(2048)},
      {"tiny-llama", "attention.value_length", Uint(8)},
      {"tiny-llama", "attention.layer_norm_rms_epsilon", Float(std::nan(""))},
      {"tiny-llama", "attention.layer_norm_rms_epsilon", Float(0)},
      {"tiny-llama", "attention.layer_norm_rms_epsilon", Float(-1e-5)},
      {"tiny-llama", "rope.dimension_count", Uint(7)},
      {"tiny-llama", "rope.dimension_count", Uint(32)},
      {"tiny-llama", "rope.freq_base", Float(-10000)},
      {"tiny-llama", "rope.freq_base", Float(1e300)},
      {"tiny-llama", "rope.scaling.type", Text("dynamic")},
      {"tiny-llama", "rope.scaling.factor", Float(-2)},
      {"tiny-llama", "rope.scale_linear", Float(std::numeric_limits<double>::infinity())},
      {"tiny-llama", "expert_count", Uint(5000)},
      {"tiny-llama", "embedding_length", Text("64")},
      {"tiny-qwen2-yarn", "rope.scaling.yarn_beta_slow", Float(0)},
      {"tiny-qwen2-yarn", "rope.scaling.original_context_length", Uint(0)},
      {"tiny-phi3-long", "rope.scaling.attn_factor", Float(0)},
      {"tiny-gemma2", "attention.sliding_window", Uint(0)},
      {"tiny-gemma2", "attention.sliding_window_pattern", Bools({1, 0})},
      {"tiny-gemma2", "attn_logit_softcapping", Float(-50)},
      {"tiny-gemma2", "final_logit_softcapping", Float(std::nan(""))},
      {"tiny-gemma3", "rope.freq_base_swa", Float(0)},
      {"tiny-smollm3", "expert_count", Uint(8)},
      {"tiny-cohere2", "logit_scale", Float(-1)},
      {"tiny-granite", "residual_scale", Float(std::nan(""))},
      {"tiny-granite", "attention.temperature_scale", Float(0.1)},
      {"tiny-mistral3", "attention.temperature_scale", Float(-1)},
      {"tiny-gptneox", "attention.layer_norm_epsilon", Float(0)},
      {"tiny-qwen3moe", "expert_used_count", Uint(0)},
      {"tiny-qwen3moe", "expert_used_count", Uint(6)},
      {"tiny-qwen3moe", "expert_count", Uint(4097)},
      {"tiny-qwen3moe", "expert_count", Uint(4)},
      {"tiny-qwen3moe", "expert_gating_func", Uint(2)},
      {"tiny-qwen3moe", "expert_shared_count", Uint(1)},
      {"tiny-qwen3moe", "leading_dense_block_count", Uint(1)},
      {"tiny-gpt-oss", "expert_feed_forward_length", Uint(1 << 28)},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.key));
    // One expert fewer than the file has shows in the tensors.
    const bool in_tensors =
        std::string_view(c.key) == "expert_count" && c.value.value == Uint(4).value;
    CHECK(Contains(Edited(c.model).Set(c.key, c.value).Refusal(),
                   in_tensors ? "blk.0.ffn_gate_inp.weight has shape" : c.key));
  }
  const char* needed[] = {"block_count",          "context_length",
                          "embedding_length",     "feed_forward_length",
                          "attention.head_count", "attention.layer_norm_rms_epsilon"};
  for (const char* key : needed) {
    CAPTURE(key);
    CHECK(Contains(Edited("tiny-llama").Remove(key).Refusal(), key));
  }
}

TEST_CASE("arch: arrays of one size are that size") {
  const auto model = Edited("tiny-llama").Set("attention.head_count_kv", Sizes({2, 2})).Load();
  CHECK(model->config().kv_heads == 2);
}

std::vector<size_t> WindowsOf(const Edited& file) {
  std::vector<size_t> windows;
  const auto model = file.Load();
  for (const LayerConfig& layer : model->config().layer) windows.push_back(layer.window);
  return windows;
}

TEST_CASE("arch: which layers have a window") {
  const std::string pattern = "attention.sliding_window_pattern";
  using Windows = std::vector<size_t>;
  CHECK(WindowsOf(Edited("tiny-llama")) == Windows{0, 0});
  CHECK(WindowsOf(Edited("tiny-mistral")) == Windows{7, 7});
  CHECK(WindowsOf(Edited("tiny-phi3-long")) == Windows{9, 9});
  CHECK(WindowsOf(Edited("tiny-phi3-short")) == Windows{0, 0});
  CHECK(WindowsOf(Edited("tiny-gemma2")) == Windows{6, 0, 6});
  CHECK(WindowsOf(Edited("tiny-gemma2").Remove("attention.sliding_window")) ==
        Windows{4096, 0, 4096});
  CHECK(WindowsOf(Edited("tiny-gemma2").Set(pattern, Bools({0, 1, 1}))) == Windows{0, 6, 6});
  CHECK(WindowsOf(Edited("tiny-gemma3")) == Windows{5, 5, 5, 5, 5, 0, 5, 5});
  CHECK(WindowsOf(Edited("tiny-gemma3").Set(pattern, Uint(3))) == Windows{5, 5, 0, 5, 5, 0, 5, 5});
  CHECK(WindowsOf(Edited("tiny-gemma3").Set("attention.sliding_window", Uint(0))) == Windows(8, 0));
}

TEST_CASE("arch: which layers rotate") {
  const auto rotates = [](const Edited& file) {
    std::vector<bool> all;
    const auto model = file.Load();
    for (const LayerConfig& layer : model->config().layer) all.push_back(layer.rope != kNoRope);
    return all;
  };
  using Layers = std::vector<bool>;
  CHECK(rotates(Edited("tiny-smollm3")) == Layers{true, true, true, false, true});
  CHECK(rotates(Edited("tiny-cohere2")) == Layers{true, true, true, false, true});
  CHECK(rotates(Edited("tiny-gpt2")) == Layers{false, false});
  const GgufValue no{GgufType::kBool, {}, false};
  CHECK(rotates(Edited("tiny-granite")) == Layers{true, true});
  CHECK(rotates(Edited("tiny-granite").Set("rope.scaling.finetuned", no)) == Layers{false, false});
  // Without a window EXAONE 4 rotates in all layers, with one in those that have it.
  CHECK(rotates(Edited("tiny-exaone4")) == Layers{true, true});
  CHECK(rotates(Edited("tiny-exaone4")
                    .Set("attention.sliding_window", Uint(5))
                    .Set("attention.sliding_window_pattern", Uint(2))) == Layers{true, false});
}

TEST_CASE("arch: OLMo 3's windowed layers rotate without the scaling of the others") {
  const auto model = Edited("tiny-olmo3").Load();
  for (const LayerConfig& layer : model->config().layer) {
    const RopeWeights& rope = model->weights().ropes[layer.rope];
    CHECK(rope.divisors.empty() == (layer.window != 0));
    CHECK((rope.magnitude == 1) == (layer.window != 0));
  }
}

TEST_CASE("arch: scales of MiniCPM's old files are those of the first models") {
  const auto model = Edited("tiny-minicpm")
                         .Remove("embedding_scale")
                         .Remove("residual_scale")
                         .Remove("logit_scale")
                         .Load();
  CHECK(model->config().embedding_scale == 12);
  CHECK(model->config().residual_scale == doctest::Approx(1.4 / std::sqrt(3.0)));
  CHECK(model->config().logit_scale == doctest::Approx(256.0 / 32));
  CHECK(Edited("tiny-minicpm").Load()->config().logit_scale == doctest::Approx(1 / 2.5));
}

TEST_CASE("arch: of its experts a token reads some") {
  const auto model = Edited("tiny-qwen3moe").Load();
  const LayerWeights& layer = model->weights().layers[0];
  REQUIRE(layer.experts.size() == 5);
  CHECK(layer.experts[4].down.data != nullptr);
  // Two bytes a weight of 5 experts of three 32 × 32 matrices, of which two are read.
  const uint64_t unread = model->config().layers * 3 * 3 * 32 * 32 * 2;
  uint64_t all = quant::Info(model->weights().embedding.format).row_bytes(32);
  for (const GgufTensor& tensor : model->file().tensors()) {
    if (tensor.shape.size() > 1) all += tensor.data.size();
  }
  CHECK(model->bytes_per_token() == all - unread);
}

TEST_CASE("arch: layers without a window rotate by the global base") {
  const auto model = Edited("tiny-gemma3").Load();
  const ModelConfig& config = model->config();
  for (const LayerConfig& layer : config.layer) {
    const RopeWeights& rope = model->weights().ropes[layer.rope];
    CHECK(rope.base == (layer.window == 0 ? 1e6f : 1e4f));
    CHECK(rope.divisors.empty() == (layer.window != 0));  // only global ones are stretched
  }
}

TEST_CASE("arch: Gemma's 27B models scale scores by another rule") {
  const auto scale = [](const std::string& name, uint64_t layers) {
    const auto file = Edited("tiny-gemma3").Rename(name).Set("block_count", Uint(layers)).Write();
    for (const Architecture& architecture : Architectures()) {
      if (architecture.name == name) return architecture.read_config(*file).attention_scale;
    }
    return 0.0f;
  };
  // Four heads of 16 on a width of 32.
  CHECK(scale("gemma2", 42) == doctest::Approx(1 / std::sqrt(16.0)));
  CHECK(scale("gemma2", 46) == doctest::Approx(1 / std::sqrt(8.0)));
  CHECK(scale("gemma3", 48) == doctest::Approx(1 / std::sqrt(16.0)));
  CHECK(scale("gemma3", 62) == doctest::Approx(1 / std::sqrt(8.0)));
}

TEST_CASE("arch: long-RoPE's divisors are chosen by the context that is to be served") {
  const auto model = Edited("tiny-phi3-long").Load();
  const RopeWeights& rope = model->weights().ropes[0];
  REQUIRE(rope.original_context == 16);
  CHECK(rope.DivisorsFor(16).data() == rope.divisors.data());
  CHECK(rope.DivisorsFor(17).data() == rope.long_divisors.data());
}

TEST_CASE("arch: an engine for short sequences does not rotate long ones by short divisors") {
  EngineOptions options;
  options.context = 16;
  Engine engine(Edited("tiny-phi3-long").Load(), options);
  const std::vector<TokenId> tokens(17, 5);
  const Chunk fits{engine.CreateSequence(), std::span(tokens).first(16), 15};
  CHECK(engine.Forward({&fits, 1}).rows == 1);
  const Chunk beyond{fits.sequence, std::span(tokens).first(1), 0};
  CHECK_THROWS_AS(engine.Forward({&beyond, 1}), Error);
  CHECK(engine.length(fits.sequence) == 16);
}

TEST_CASE("arch: kinds of RoPE scaling") {
  const auto divisors = [](const Edited& file) {
    const auto model = file.Load();
    const auto& own = model->weights().ropes[0].divisors;
    return std::vector<float>(own.begin(), own.end());
  };
  const std::string type = "rope.scaling.type";
  const std::string factor = "rope.scaling.factor";
  CHECK(divisors(Edited("tiny-llama")).empty());
  CHECK(divisors(Edited("tiny-llama").Set(factor, Float(4))) == std::vector<float>(8, 4.0f));
  CHECK(divisors(Edited("tiny-llama").Set(factor, Float(0))).empty());
  CHECK(divisors(Edited("tiny-llama").Set(factor, Float(4)).Set(type, Text("none"))).empty());
  // The newer key holds where both stand.
  CHECK(divisors(Edited("tiny-mistral").Set(factor, Float(3))) == std::vector<float>(8, 3.0f));

  // From 1 for fast pairs to the factor for slow ones.
  const auto yarn = divisors(Edited("tiny-qwen2-yarn"));
  REQUIRE(yarn.size() == 8);
  CHECK(yarn.front() == 1);
  CHECK(yarn.back() == 4);
  for (size_t i = 1; i < yarn.size(); ++i) CHECK(yarn[i] >= yarn[i - 1]);
  const auto magnitude = [](const Edited& file) {
    return file.Load()->weights().ropes[0].magnitude;
  };
  CHECK(magnitude(Edited("tiny-qwen2-yarn")) == doctest::Approx(0.1 * std::log(4.0) + 1));
  CHECK(magnitude(Edited("tiny-qwen2-yarn").Set("rope.scaling.yarn_attn_factor", Float(1))) == 1);
  // mscale_all_dim, as files call it; llama.cpp takes the quotient of the two.
  const std::string multiplier = "rope.scaling.yarn_log_multiplier";
  CHECK(magnitude(Edited("tiny-qwen2-yarn").Set(multiplier, Float(1))) == doctest::Approx(1));
  CHECK(magnitude(Edited("tiny-qwen2-yarn").Set(multiplier, Float(0.5))) ==
        doctest::Approx((0.1 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1)));
}

TEST_CASE("arch: keys that change what is computed are honoured or refused, unknown ones told") {
  for (const std::string& name : kOneOfEach) {
    CAPTURE(name);
    CHECK(Edited(name).Load()->config().warnings.empty());
  }
  CHECK(Edited("tiny-llama").Set("attention.scale", Float(0.5)).Load()->config().attention_scale ==
        0.5f);
  const std::vector<std::pair<std::string, GgufValue>> refused = {
      {"logit_scale", Float(0.0625)},
      {"residual_scale", Float(0.22)},
      {"embedding_scale", Float(12)},
      {"attention.clamp_kqv", Float(8)},
      {"attention.max_alibi_bias", Float(8)},
      {"attention.temperature_scale", Float(0.1)},
      {"attn_logit_softcapping", Float(50)},
      {"final_logit_softcapping", Float(30)},
      {"nextn_predict_layers", Uint(1)},
      {"attention.shared_kv_layers", Uint(4)},
      {"attention.key_length_swa", Uint(8)},
      {"rope.freq_base_swa", Float(500)},
      {"use_parallel_residual", GgufValue{GgufType::kBool, {}, true}},
      {"attention.causal", GgufValue{GgufType::kBool, {}, false}},
      {"hidden_activation", Text("gelu")},
      {"logit_scale", Text("0.1")},
      {"logit_scale", Sizes({1, 2})},
  };
  for (const auto& [key, value] : refused) {
    const auto& shown = key;  // clang 14 captures no structured binding
    CAPTURE(shown);
    CHECK(Contains(Edited("tiny-llama").Set(key, value).Refusal(), "'llama." + key + "'"));
  }
  Edited harmless("tiny-llama");
  harmless.Set("logit_scale", Float(1))
      .Set("residual_scale", Float(0))
      .Set("expert_used_count", Uint(0))
      .Set("rope.scaling.finetuned", GgufValue{GgufType::kBool, {}, false})
      .Set("attention.causal", GgufValue{GgufType::kBool, {}, true})
      .Set("rope.freq_base_swa", Float(10000))
      .Set("hidden_activation", Text("silu"))
      .Set("tensor_data_layout", Text("Meta AI original pth"));
  CHECK(harmless.Load()->config().warnings.empty());
  const auto model = Edited("tiny-llama").Set("made_up", Uint(1)).Set("other", Text("x")).Load();
  REQUIRE(model->config().warnings.size() == 1);
  CHECK(Contains(model->config().warnings[0], "'llama.made_up', 'llama.other' not known"));
}

}  // namespace
}  // namespace crossover::engine

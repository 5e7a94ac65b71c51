// What a Hugging Face config.json says: each word is honoured, known to change nothing, told, or
// refused by name. The tiny models of tests/data with words changed.
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/test_hf_directory.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;
using hf_test::Copy;
using hf_test::Lines;
using nlohmann::json;
using test::Contains;

TEST_CASE("hf words: keys of config.json that change nothing are not spoken of") {
  const Copy copy("tiny-llama-hf");
  copy.Config({{"initializer_range", 0.02},
               {"use_cache", true},
               {"transformers_version", "4.46.0"},
               {"pretraining_tp", 1},
               {"attention_dropout", 0.0},
               {"mlp_bias", false},
               {"attention_bias", false},
               {"sliding_window", nullptr},
               {"use_sliding_window", false},
               {"max_window_layers", 2},
               {"auto_map", json::object()},
               {"rope_interleaved", false},
               {"is_llama_config", true},
               {"hidden_act", "swish"},
               {"logit_scale", 1.0},
               {"num_experts", 0},
               {"embedding_multiplier", 1},
               {"layer_types", {"full_attention", "full_attention"}},
               {"partial_rotary_factor", 1.0},
               {"made_up", nullptr}});
  CHECK(copy.Warnings().empty());
}

TEST_CASE("hf words: keys of config.json that ask for another computation are refused by name") {
  const std::pair<json, const char*> cases[] = {
      {{{"hidden_act", "gelu"}}, "'hidden_act' is 'gelu'"},
      {{{"hidden_act", "gelu_pytorch_tanh"}}, "hidden_act"},
      {{{"hidden_activation", "gelu"}}, "hidden_activation"},
      {{{"partial_rotary_factor", 0.5}}, "'partial_rotary_factor' is 0.5"},
      {{{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}},
       "'partial_rotary_factor' is 0.5"},
      {{{"rope_scaling", {{"type", "default"}, {"partial_rotary_factor", 0.25}}}},
       "'partial_rotary_factor' is 0.25"},
      {{{"attention_bias", true}}, "'model.layers.0.self_attn.q_proj.bias' is missing"},
      {{{"mlp_bias", true}}, "'model.layers.0.mlp.gate_proj.bias' is missing"},
      {{{"embedding_multiplier", 12.0}}, "'embedding_multiplier' is 12.0"},
      {{{"residual_multiplier", 0.22}}, "residual_multiplier"},
      {{{"attention_multiplier", 0.0078125}}, "attention_multiplier"},
      {{{"logits_scaling", 8}}, "logits_scaling"},
      {{{"num_local_experts", 8}}, "num_local_experts"},
      {{{"attn_logit_softcapping", 50.0}}, "attn_logit_softcapping"},
      {{{"alibi", true}}, "alibi"},
      {{{"no_rope_layers", {1, 1}}}, "no_rope_layers"},
      {{{"compression_config", {{"bits", 4}}}}, "compression_config"},
      {{{"quantization_config", {{"quant_method", "gptq"}}}}, "quantised already"},
      {{{"layer_types", {"full_attention", "chunked_attention"}}}, "chunked_attention"},
      {{{"layer_types", {"full_attention"}}}, "has 1 entries for 2 layers"},
      {{{"layer_types", {"full_attention", "sliding_attention"}}}, "'layer_types' says something"},
      {{{"rope_scaling", {{"type", "linear"}, {"rope_type", "yarn"}, {"factor", 2}}}},
       "'rope_type' is 'yarn', but 'type' is 'linear'"},
      {{{"rope_scaling", {{"type", "linear"}, {"factor", 2}}},
        {"rope_parameters", {{"rope_type", "default"}}}},
       "says something else than 'rope_parameters'"},
      {{{"rope_parameters",
         {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
          {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 500.0}}}}}},
       "rotates different layers"},
  };
  for (const auto& [words, part] : cases) {
    const Copy copy("tiny-llama-hf");
    const std::string message = copy.Config(words).Refusal();
    CAPTURE(words.dump());
    CAPTURE(message);
    CHECK(Contains(message, part));
  }
}

TEST_CASE("hf words: of younger architectures whatever is not understood is refused by name") {
  struct Case {
    const char* name;
    json words;
    const char* part;
  };
  const Case cases[] = {
      {"granite", {{"made_up", 1}}, "'made_up' not known here for GraniteForCausalLM"},
      {"granite", {{"no_rope_layers", {1, 1}}}, "'no_rope_layers' is [1,1]"},
      {"granite", {{"logits_scaling", "x"}}, "logits_scaling"},
      {"granite",
       {{"embedding_multiplier", -1}},
       "'embedding_multiplier' is -1, but must be above 0"},
      {"granite", {{"rope_theta", nullptr}}, "'rope_theta' is missing"},
      {"smollm3", {{"no_rope_layers", {1, 1, 0, 0, 1}}}, "'no_rope_layers' is not every fourth"},
      {"smollm3", {{"no_rope_layers", {1, 1, 1}}}, "'no_rope_layers' is not every fourth"},
      {"smollm3",
       {{"no_rope_layers", nullptr}, {"no_rope_layer_interval", 3}},
       "'no_rope_layer_interval' is not 4"},
      {"smollm3", {{"use_sliding_window", true}}, "'use_sliding_window' is true"},
      {"olmo3", {{"layer_types", {"full_attention"}}}, "has 1 entries for 5 layers"},
      {"olmo3",
       {{"rope_parameters",
         {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
          {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 500.0}}}}}},
       "rotates different layers"},
      {"mistral3",
       {{"rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e6}, {"made_up", 1}}}},
       "'made_up' not known here for the type yarn"},
      {"glm4", {{"partial_rotary_factor", 0.3}}, "is 0.3, which is no even part of heads of 24"},
      {"glm4", {{"partial_rotary_factor", -0.5}}, "is -0.5"},
      {"hunyuan", {{"use_qk_norm", false}}, "'use_qk_norm' is false"},
      {"hunyuan", {{"use_cla", true}}, "'use_cla' is true"},
      {"hunyuan", {{"rope_scaling", {{"type", "dynamic"}, {"alpha", -1}}}}, "alpha"},
      {"qwen3", {{"rope_scaling", {{"type", "dynamic"}, {"alpha", 1000}}}}, "'dynamic'"},
      {"ernie4_5", {{"use_bias", true}}, "'model.layers.0.self_attn.q_proj.bias' is missing"},
      {"minicpm", {{"dim_model_base", nullptr}}, "dim_model_base"},
      {"arcee", {{"hidden_act", "silu"}}, "'hidden_act' is 'silu'; only relu2"},
      {"phi2", {{"qk_layernorm", true}}, "'qk_layernorm' is true"},
      {"stablelm", {{"use_parallel_residual", true}}, "'use_parallel_residual' is true"},
      {"command-r", {{"use_qk_norm", true}}, "'use_qk_norm' is true"},
      {"command-r", {{"use_gated_activation", false}}, "'use_gated_activation' is false"},
      {"nemotron", {{"norm_eps", nullptr}}, "norm_eps"},
  };
  for (const Case& c : cases) {
    const Copy copy(std::string("tiny-") + c.name + "-hf");
    fs::copy_file(test::SourceRoot() / "tests/data/tiny-qwen2-hf/tokenizer.json",
                  copy.directory / "tokenizer.json");
    const std::string message = copy.Config(c.words).Refusal();
    CAPTURE(c.words.dump());
    CAPTURE(message);
    CHECK(Contains(message, c.part));
  }
}

TEST_CASE("hf words: keys of config.json that nothing knows are told in one line") {
  const Copy copy("tiny-llama-hf");
  copy.Config({{"made_up", 1}, {"of_no_meaning", "x"}, {"model_type", "other"}});
  const std::string warnings = copy.Warnings();
  CAPTURE(warnings);
  CHECK(Lines(warnings) == 2);
  CHECK(Contains(warnings, "'made_up', 'of_no_meaning' not known here"));
  CHECK(Contains(warnings, "'model_type' is 'other', but 'architectures' says LlamaForCausalLM"));
  // Words of a scaling count by its kind.
  const Copy scaled("tiny-llama-hf");
  scaled.Config({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}, {"beta_fast", 32}}}});
  CHECK(
      Contains(scaled.Warnings(), "rope_scaling: 'beta_fast' not known here for the type linear"));
}

TEST_CASE("hf words: YaRN's magnitude and ramp are those of transformers") {
  const double usual = 1 + 0.1 * std::log(4);
  const auto rope = [](json more) {
    const Copy copy("tiny-llama-hf");
    json words = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
    words.update(more);
    copy.Config({{"rope_scaling", words}});
    return copy.Rope();
  };
  CHECK(rope(json::object()).magnitude == doctest::Approx(usual));
  CHECK(rope({{"mscale", 1.0}, {"mscale_all_dim", 1.0}}).magnitude == doctest::Approx(1));
  CHECK(rope({{"mscale", 0.707}, {"mscale_all_dim", 1.0}}).magnitude ==
        doctest::Approx((1 + 0.1 * 0.707 * std::log(4)) / usual));
  CHECK(rope({{"mscale", 0.0}, {"mscale_all_dim", 1.0}}).magnitude == doctest::Approx(usual));
  CHECK(rope({{"mscale", 2.0}}).magnitude == doctest::Approx(usual));
  CHECK(rope({{"attention_factor", 1.0}, {"mscale", 2.0}, {"mscale_all_dim", 1.0}}).magnitude ==
        doctest::Approx(1));
  CHECK(rope({{"attention_factor", 1.5}}).magnitude == doctest::Approx(1.5));
  CHECK(rope({{"attn_factor", 0.5}}).magnitude == doctest::Approx(0.5 * usual));
  CHECK(rope({{"original_max_position_embeddings", nullptr}}).original_context == 128);

  // Unrounded bounds: inverse frequencies as transformers' _compute_yarn_parameters gives them for
  // a head of 16, base 10000, factor 4, original context 32, truncate false.
  const Copy copy("tiny-llama-hf");
  copy.Config({{"rope_scaling",
                {{"rope_type", "yarn"},
                 {"factor", 4.0},
                 {"original_max_position_embeddings", 32},
                 {"beta_fast", 4.0},
                 {"truncate", false}}}});
  const auto file = copy.Open();
  CHECK(file->FindString("llama.rope.scaling.type") == std::nullopt);
  CHECK(*file->FindFloat("llama.rope.scaling.attn_factor") == doctest::Approx(usual));
  const GgufTensor* tensor = file->FindTensor("rope_freqs.weight");
  REQUIRE(tensor != nullptr);
  REQUIRE(tensor->elements() == 8);
  const auto* divisors = reinterpret_cast<const float*>(tensor->data.data());
  const std::vector<double> expected = {1, 1.969173, 4, 4, 4, 4, 4, 4};
  for (size_t i = 0; i < 8; ++i) CHECK(divisors[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

TEST_CASE("hf words: windows") {
  const auto window = [](const std::string& name, const json& words) {
    const Copy copy(name);
    copy.Config(words);
    const auto file = copy.Open();
    const std::string prefix = std::string(file->String("general.architecture")) + ".";
    return file->FindUint(prefix + "attention.sliding_window").value_or(0);
  };
  const json mistral = {{"architectures", {"MistralForCausalLM"}}, {"model_type", "mistral"}};
  const auto with = [&](const json& more) {
    json words = mistral;
    words.update(more);
    return words;
  };
  CHECK(window("tiny-llama-hf", with({{"sliding_window", 64}})) == 64);
  CHECK(window("tiny-llama-hf", with({{"sliding_window", nullptr}})) == 0);
  CHECK(window("tiny-llama-hf", with({{"sliding_window", 128}})) == 0);  // the whole context
  // Without the key transformers takes 4096.
  CHECK(window("tiny-llama-hf", with({{"max_position_embeddings", 8192}})) == 4096);
  CHECK(window("tiny-llama-hf", {{"sliding_window", 64}}) == 0);
  const Copy llama("tiny-llama-hf");
  CHECK(Contains(llama.Config({{"sliding_window", 64}}).Warnings(), "'sliding_window'"));
  CHECK(window("tiny-qwen2-hf", {{"sliding_window", 64}}) == 0);

  const Copy qwen("tiny-qwen2-hf");
  qwen.Config({{"sliding_window", 64}, {"use_sliding_window", true}, {"max_window_layers", 1}});
  const fs::path out = qwen.directory / "out.gguf";
  QuantizeFile(qwen.directory.path(), out, quant::FindRecipe("F16"), {});
  const auto model = Model::Load(out);
  CHECK(model->config().layer[0].window == 0);
  CHECK(model->config().layer[1].window == 64);
  CHECK(model->config().warnings.empty());
}

}  // namespace
}  // namespace crossover::engine

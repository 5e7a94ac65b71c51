// What a Hugging Face directory says: each word is honoured, known to change nothing, told, or
// refused by name. The tiny models of tests/data with words changed.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/hf_model.h"
#include "engine/load_tokenizer.h"
#include "engine/model.h"
#include "engine/quantize_file.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Contains;
using tokenizer::TokenId;
using Ids = std::vector<TokenId>;

/// A copy of a directory of tests/data whose files can be changed.
struct Copy {
  test::TemporaryDirectory directory;

  explicit Copy(const std::string& name) {
    fs::copy(test::SourceRoot() / "tests/data" / name, directory.path(),
             fs::copy_options::recursive);
  }
  const Copy& Edit(const std::string& file, const std::function<void(json&)>& edit) const {
    json value = json::parse(ReadFile(directory / file));
    edit(value);
    WriteFile(directory / file, value.dump());
    return *this;
  }
  const Copy& Config(const json& words) const {
    return Edit("config.json", [&](json& config) { config.update(words); });
  }
  std::shared_ptr<const GgufFile> Open() const { return OpenHuggingFace(directory.path()); }
  std::string Refusal() const {
    return test::RefusalOf([&] { Open(); });
  }
  /// Of a directory that converts, a line each.
  std::string Warnings() const {
    std::string all;
    const auto file = Open();
    for (const std::string& warning : file->warnings()) all += warning + "\n";
    return all;
  }
  std::unique_ptr<const tokenizer::Tokenizer> Tokenizer() const { return LoadTokenizer(*Open()); }
  RopeConfig Rope() const {
    const fs::path out = directory / "out.gguf";
    QuantizeFile(directory.path(), out, quant::FindRecipe("F16"), {});
    return Model::Load(out)->config().ropes[0];
  }
};

size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// ---- config.json -------------------------------------------------------------------------------

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
      {{{"mlp_bias", true}}, "mlp_bias"},
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

// ---- tokenizer.json ----------------------------------------------------------------------------

TEST_CASE("hf words: steps of tokenizer.json that GGUF cannot say are refused by name") {
  for (const json& step :
       std::vector<json>{{{"type", "Lowercase"}},
                         {{"type", "NFKC"}},
                         {{"type", "NFD"}},
                         {{"type", "NFKD"}},
                         {{"type", "Nmt"}},
                         {{"type", "StripAccents"}},
                         {{"type", "ByteLevel"}},
                         {{"type", "BertNormalizer"}, {"lowercase", true}},
                         {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}},
                         {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}},
                         {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "b"}},
                         {{"type", "Prepend"}, {"prepend", "_"}},
                         {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}}}) {
    for (const std::string name : {"tiny-llama-hf", "tiny-qwen2-hf"}) {
      const Copy copy(name);
      copy.Edit("tokenizer.json", [&](json& t) {
        t["normalizer"] = {{"type", "Sequence"},
                           {"normalizers", {{{"type", "Sequence"}, {"normalizers", {step}}}}}};
      });
      const std::string message = copy.Refusal();
      CAPTURE(step.dump());
      CAPTURE(message);
      CHECK(Contains(message, fmt::format("the normalizer '{}'", step["type"].get<std::string>())));
    }
  }
  struct Case {
    const char* model;
    std::function<void(json&)> edit;
    const char* part;
  };
  const Case cases[] = {
      {"tiny-qwen2-hf", [](json& t) { t["model"]["dropout"] = 0.1; }, "'dropout' is 0.1"},
      {"tiny-qwen2-hf", [](json& t) { t["model"]["end_of_word_suffix"] = "</w>"; },
       "end_of_word_suffix"},
      {"tiny-qwen2-hf", [](json& t) { t["model"]["continuing_subword_prefix"] = "##"; },
       "continuing_subword_prefix"},
      {"tiny-qwen2-hf", [](json& t) { t["pre_tokenizer"]["pretokenizers"].erase(1); },
       "neither byte-level"},
      {"tiny-llama-hf", [](json& t) { t["normalizer"] = nullptr; }, "does not write spaces as"},
      {"tiny-llama-hf",
       [](json& t) {
         t["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
       },
       "by 'WhitespaceSplit'"},
      {"tiny-llama-hf",
       [](json& t) {
         t["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "_"}};
       },
       "something else than ▁"},
      {"tiny-llama-hf",
       [](json& t) {
         json& single = t["post_processor"]["single"];
         const json token = {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}};
         single.insert(single.begin(), token);
       },
       "puts both '</s>' and '<s>' before a text"},
      {"tiny-llama-hf",
       [](json& t) {
         t["post_processor"] = {{"type", "Other"}};
       },
       "'Other'"},
  };
  for (const Case& c : cases) {
    const Copy copy(c.model);
    const std::string message = copy.Edit("tokenizer.json", c.edit).Refusal();
    CAPTURE(message);
    CHECK(Contains(message, c.part));
  }
}

TEST_CASE("hf words: steps of tokenizer.json without which ordinary text is the same are told") {
  struct Case {
    const char* model;
    std::function<void(json&)> edit;
    const char* part;
  };
  const Case cases[] = {
      {"tiny-qwen2-hf",
       [](json& t) {
         t["normalizer"] = {{"type", "NFC"}};
       },
       "NFC"},
      {"tiny-qwen2-hf",
       [](json& t) {
         t["decoder"] = {{"type", "CTC"}};
       },
       "'CTC'"},
      {"tiny-qwen2-hf", [](json& t) { t["made_up"] = 1; }, "'made_up'"},
      {"tiny-qwen2-hf", [](json& t) { t["model"]["made_up"] = 1; }, "'made_up'"},
      {"tiny-qwen2-hf", [](json& t) { t["pre_tokenizer"]["pretokenizers"][1]["made_up"] = true; },
       "'made_up'"},
      {"tiny-qwen2-hf", [](json& t) { t["added_tokens"][0]["rstrip"] = true; }, "'<|begin|>'"},
      {"tiny-qwen2-hf", [](json& t) { t["added_tokens"][0]["single_word"] = true; }, "'<|begin|>'"},
      {"tiny-qwen2-hf", [](json& t) { t["model"]["ignore_merges"] = true; }, "'ignore_merges'"},
      {"tiny-llama-hf", [](json& t) { t["model"]["ignore_merges"] = true; }, "'ignore_merges'"},
  };
  for (const Case& c : cases) {
    const Copy copy(c.model);
    const std::string warnings = copy.Edit("tokenizer.json", c.edit).Warnings();
    CAPTURE(warnings);
    CHECK(Lines(warnings) == 1);
    CHECK(Contains(warnings, c.part));
  }
  const Copy harmless("tiny-qwen2-hf");
  harmless.Edit("tokenizer.json", [](json& t) {
    t["truncation"] = {{"max_length", 8}};
    t["padding"] = {{"pad_id", 0}};
    t["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array()}};
    t["decoder"] = {{"type", "ByteLevel"}};
    t["model"]["dropout"] = 0;
    t["model"]["unk_token"] = nullptr;
    t["model"]["end_of_word_suffix"] = "";
  });
  CHECK(harmless.Warnings().empty());
}

TEST_CASE("hf words: whether a text begins with a space") {
  const auto ids = [](const json& words, std::string& warnings) {
    const Copy copy("tiny-llama-hf");
    copy.Edit("tokenizer.json", [&](json& t) {
      t["normalizer"] = nullptr;
      t["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"split", false}};
      t["pre_tokenizer"].update(words);
    });
    warnings = copy.Warnings();
    return copy.Tokenizer()->Encode("the");
  };
  std::string warnings;
  const Ids with = ids({{"prepend_scheme", "always"}}, warnings);
  const Ids without = ids({{"prepend_scheme", "never"}}, warnings);
  CHECK(with != without);
  CHECK(warnings.empty());
  CHECK(ids({{"add_prefix_space", false}}, warnings) == without);
  CHECK(ids({{"add_prefix_space", true}}, warnings) == with);
  CHECK(ids({{"prepend_scheme", "first"}}, warnings) == with);
  CHECK(Lines(warnings) == 1);
  CHECK(Contains(warnings, "prepend_scheme 'first'"));
}

// ---- Special tokens and templates --------------------------------------------------------------

TEST_CASE("hf words: the post-processor's tokens without tokenizer_config.json") {
  for (const std::string name : {"tiny-llama-hf", "tiny-llama3-hf"}) {
    CAPTURE(name);
    const Copy copy(name);
    const Ids with = copy.Tokenizer()->Encode("the");
    fs::remove(copy.directory / "tokenizer_config.json");
    const auto tokenizer = copy.Tokenizer();
    CHECK(tokenizer->adds_bos());
    CHECK(tokenizer->Encode("the") == with);
  }
  // None of the two says anything: none is added, whatever the pre-tokenizer's family is used to.
  const Copy copy("tiny-llama3-hf");
  fs::remove(copy.directory / "tokenizer_config.json");
  copy.Edit("tokenizer.json", [](json& t) { t["post_processor"] = nullptr; });
  CHECK_FALSE(copy.Tokenizer()->adds_bos());
  // Its own token counts, under whatever name another stands.
  copy.Edit("tokenizer.json", [](json& t) {
    t["post_processor"] = {
        {"type", "RobertaProcessing"}, {"cls", {"<|end|>", 287}}, {"sep", {"<|begin|>", 286}}};
  });
  const auto tokenizer = copy.Tokenizer();
  CHECK(tokenizer->Encode("").front() == 287);
  CHECK(tokenizer->Encode("").back() == 286);
}

TEST_CASE(
    "hf words: names of special tokens from special_tokens_map.json, further ends of a text") {
  const Copy copy("tiny-llama-hf");
  fs::remove(copy.directory / "tokenizer_config.json");
  WriteFile(copy.directory / "special_tokens_map.json", R"({"eos_token": {"content": "</s>"}})");
  CHECK(copy.Open()->FindUint("tokenizer.ggml.eos_token_id") == 2);
  copy.Config({{"eos_token_id", {2, 5, 7}}});
  const auto tokenizer = copy.Tokenizer();
  for (const TokenId id : {2, 5, 7}) CHECK(tokenizer->IsEndOfGeneration(id));
  CHECK_FALSE(tokenizer->IsEndOfGeneration(6));
  copy.Config({{"eos_token_id", {2, 5, 7, 9}}});
  CHECK(Contains(copy.Warnings(), "lists 4 tokens"));
}

TEST_CASE("hf words: chat templates of all places") {
  const Copy copy("tiny-llama-hf");
  // A copy, since the text lies in the file that is opened here.
  const auto found = [&](const std::string& key) -> std::optional<std::string> {
    const auto file = copy.Open();
    const auto text = file->FindString(key);
    return text ? std::optional<std::string>(*text) : std::nullopt;
  };
  const std::string key = "tokenizer.chat_template";
  const auto drop = [](json& config) { config.erase("chat_template"); };
  copy.Edit("tokenizer_config.json", drop);
  CHECK(found(key) == std::nullopt);
  WriteFile(copy.directory / "chat_template.json", R"({"chat_template": "from json"})");
  CHECK(found(key) == "from json");
  CHECK(copy.Warnings().empty());
  copy.Edit("tokenizer_config.json", [](json& config) {
    config["chat_template"] = {{{"name", "default"}, {"template", "from config"}},
                               {{"name", "tool use"}, {"template", "tools"}}};
  });
  CHECK(found(key) == "from config");
  CHECK(found(key + ".tool_use") == "tools");
  CHECK(Contains(copy.Warnings(), "chat_template.json: its chat template is another"));
  WriteFile(copy.directory / "chat_template.jinja", "from jinja");
  CHECK(found(key) == "from jinja");
  fs::create_directory(copy.directory / "additional_chat_templates");
  WriteFile(copy.directory / "additional_chat_templates/rag.jinja", "rag");
  CHECK(found(key + ".rag") == "rag");

  const Copy named("tiny-llama-hf");
  named.Edit("tokenizer_config.json", [](json& config) {
    config["chat_template"] = {{{"name", "tools"}, {"template", "t"}}};
  });
  CHECK(Contains(named.Warnings(), "none is named 'default'"));
}

}  // namespace
}  // namespace crossover::engine

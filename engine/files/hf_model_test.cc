// Hugging Face directories: the models of tests/data in both forms (make_hf.py) must come out
// alike, and what a directory must not say is refused with one line.
#include "engine/files/hf_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/files/hf_tokenizer.h"
#include "engine/files/test_hf_directory.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/quantize_file.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path Data(const std::string& name) { return test::SourceRoot() / "tests/data" / name; }

using hf_test::Copy;
using test::Contains;

TEST_CASE("hf: a converted directory is the GGUF file of the same model") {
  for (const std::string name : {"tiny-llama", "tiny-llama3", "tiny-qwen2"}) {
    CAPTURE(name);
    const test::TemporaryDirectory directory;
    const fs::path out = directory / "out.gguf";
    QuantizeFile(Data(name + "-hf"), out, quant::FindRecipe("F16"), {});
    const auto converted = GgufFile::Open(out);
    const auto expected = GgufFile::Open(Data(name + ".gguf"));
    REQUIRE(converted->tensors().size() == expected->tensors().size());
    for (const GgufTensor& tensor : expected->tensors()) {
      CAPTURE(tensor.name);
      const GgufTensor* other = converted->FindTensor(tensor.name);
      REQUIRE(other != nullptr);
      CHECK(other->format == tensor.format);
      CHECK(other->shape == tensor.shape);
      CHECK(std::equal(tensor.data.begin(), tensor.data.end(), other->data.begin(),
                       other->data.end()));
    }
    // The name is the directory's; scores matter by their order alone; qwen2's vocabulary is as
    // long as its list.
    const std::set<std::string> differ = {"general.name", "tokenizer.ggml.scores",
                                          "qwen2.vocab_size"};
    for (const auto& entry : expected->metadata()) {
      const std::string& key = entry.first;
      const GgufValue& value = entry.second;
      CAPTURE(key);
      if (differ.count(key) != 0) continue;
      const GgufValue* other = converted->FindValue(key);
      REQUIRE(other != nullptr);
      CHECK(other->value == value.value);
      CHECK(other->type == value.type);
    }
    CHECK(converted->FindString("tokenizer.chat_template") == "{{ messages }}");
  }
}

TEST_CASE("hf: the converted tokenizer is the other's") {
  for (const std::string name : {"tiny-llama", "tiny-llama3", "tiny-qwen2"}) {
    CAPTURE(name);
    const auto converted = LoadTokenizer(*OpenHuggingFace(Data(name + "-hf")));
    const auto expected = LoadTokenizer(*GgufFile::Open(Data(name + ".gguf")));
    for (const std::string_view text :
         {"", " ", "the hat and the other", "  then\n\tanother 1234 on the inn", "héllo <s> wörld",
          "<|begin|>the<|end|>", "atatat theerinnd"}) {
      CAPTURE(text);
      CHECK(converted->Encode(text) == expected->Encode(text));
    }
  }
}

TEST_CASE("hf: bfloat16 weights become the float32 they stand for, in GGUF's order of rows") {
  const Copy copy("tiny-llama-hf");
  // 64 rows of q in heads of 16, each holding its own number.
  const fs::path path = copy.directory / "model.safetensors";
  const std::string bytes = ReadFile(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  json header = json::parse(bytes.substr(8, length));
  json& q = header["model.layers.1.self_attn.q_proj.weight"];
  std::string body = bytes.substr(8 + length);
  const size_t begin = q["data_offsets"][0];
  for (size_t row = 0; row < 64; ++row) {
    const auto number = static_cast<float>(row);
    uint32_t bits = 0;
    std::memcpy(&bits, &number, 4);
    const auto bfloat = static_cast<uint16_t>(bits >> 16);
    for (size_t c = 0; c < 64; ++c) std::memcpy(&body[begin + 2 * (64 * row + c)], &bfloat, 2);
  }
  q["dtype"] = "BF16";
  const std::string text = header.dump();
  length = text.size();
  WriteFile(path, std::string(reinterpret_cast<const char*>(&length), 8) + text + body);

  const fs::path out = copy.directory / "out.gguf";
  QuantizeFile(copy.directory.path(), out, quant::FindRecipe("F32"), {});
  const auto file = GgufFile::Open(out);
  const GgufTensor& tensor = *file->FindTensor("blk.1.attn_q.weight");
  const auto* weights = reinterpret_cast<const float*>(tensor.data.data());
  for (size_t row = 0; row < 64; ++row) {
    const size_t published = row / 16 * 16 + row % 2 * 8 + row % 16 / 2;
    CHECK(weights[64 * row + 63] == static_cast<float>(published));
  }
}

TEST_CASE("hf: what config.json must not say") {
  struct Case {
    const char* key;
    json value;
    const char* part;
  };
  const Case cases[] = {
      {"architectures", json::array({"MambaForCausalLM"}), "known: LlamaForCausalLM"},
      {"architectures", nullptr, "'architectures' is missing"},
      {"num_hidden_layers", 0, "'num_hidden_layers' is 0"},
      {"num_hidden_layers", -1, "'num_hidden_layers' is no whole number"},
      {"num_hidden_layers", 16000000, "there are 21 tensors in all"},
      {"num_hidden_layers", 3, "'model.layers.2.input_layernorm.weight' is missing"},
      {"num_hidden_layers", 1, "'model.layers.1.input_layernorm.weight' belongs to no part"},
      {"hidden_size", "64", "'hidden_size' is no whole number"},
      {"hidden_size", 66, "no multiple of the 4 heads"},
      {"hidden_size", 1 << 20, "'hidden_size' is 1048576; rows of up to 524288"},
      {"head_dim", 1026, "'head_dim' is 1026; heads of up to 1024"},
      {"hidden_size", 128, "has shape [288, 64], but config.json asks for [288, 128]"},
      {"num_key_value_heads", 3, "does not divide"},
      {"vocab_size", 100, "config.json asks for [100, 64]"},
      {"rms_norm_eps", nullptr, "'rms_norm_eps' is missing"},
      {"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}, "positions are scaled by 'dynamic'"},
      {"rope_scaling", {{"rope_type", "llama3"}}, "rope_scaling: 'factor' is missing"},
      {"quantization_config", {{"bits", 4}}, "quantised already"},
      {"bos_token_id", 5000, ""},  // the tokenizer's own word counts
  };
  for (const Case& c : cases) {
    const Copy copy("tiny-llama-hf");
    copy.Edit("config.json", [&](json& config) { config[c.key] = c.value; });
    const std::string message = copy.Refusal();
    CAPTURE(c.key);
    CAPTURE(message);
    CHECK((*c.part == '\0' ? message.empty() : Contains(message, c.part)));
  }
}

TEST_CASE("hf: tied, untied, linear and yarn") {
  const Copy copy("tiny-qwen2-hf");
  copy.Edit("config.json", [](json& config) {
    config["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
  });
  auto file = OpenHuggingFace(copy.directory.path());
  CHECK(file->FindString("qwen2.rope.scaling.type") == "linear");
  CHECK(file->FindFloat("qwen2.rope.scaling.factor") == 4.0);
  CHECK(file->FindTensor("output.weight") == nullptr);
  copy.Edit("config.json", [](json& config) {
    config["rope_scaling"] = nullptr;
    config["rope_parameters"] = {{"rope_type", "yarn"},
                                 {"factor", 2.0},
                                 {"rope_theta", 5000.0},
                                 {"original_max_position_embeddings", 64}};
  });
  file = OpenHuggingFace(copy.directory.path());
  CHECK(file->FindString("qwen2.rope.scaling.type") == "yarn");
  CHECK(file->FindUint("qwen2.rope.scaling.original_context_length") == 64);
  CHECK(file->FindFloat("qwen2.rope.freq_base") == 5000.0);
  copy.Edit("config.json", [](json& config) { config["tie_word_embeddings"] = false; });
  CHECK(Contains(copy.Refusal(), "'lm_head.weight' is missing"));
}

TEST_CASE("hf: what tokenizer.json must not say") {
  struct Case {
    std::function<void(json&)> edit;
    const char* part;
  };
  const Case cases[] = {
      {[](json& t) { t.erase("model"); }, "'model' is missing"},
      {[](json& t) { t["model"]["type"] = "Unigram"; }, "of the kind 'Unigram'"},
      {[](json& t) { t["model"]["vocab"]["!"] = 4.5; }, "'!' has an id"},
      {[](json& t) { t["model"]["vocab"]["!"] = 1; }, "which '!' has too"},
      {[](json& t) { t["model"]["merges"][2] = "ab"; }, "else than pairs in entry 2"},
      {[](json& t) { t["added_tokens"][0].erase("content"); }, "'content' is missing"},
      {[](json& t) { t["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "x"; },
       "patterns of no known family"},
      {[](json& t) { t["pre_tokenizer"]["pretokenizers"][0]["type"] = "Bert"; }, "by 'Bert'"},
      {[](json& t) { t["pre_tokenizer"]["pretokenizers"][1].erase("add_prefix_space"); },
       "puts a space"},
      {[](json& t) { t["pre_tokenizer"] = 5; }, "'pre_tokenizer' is no object"},
  };
  for (const Case& c : cases) {
    const Copy copy("tiny-qwen2-hf");
    copy.Edit("tokenizer.json", c.edit);
    const std::string message = copy.Refusal();
    CAPTURE(message);
    CHECK(Contains(message, c.part));
  }
  const Copy copy("tiny-qwen2-hf");
  fs::remove(copy.directory / "tokenizer.json");
  CHECK(Contains(copy.Refusal(), "tokenizer.json"));
  WriteFile(copy.directory / "tokenizer.json", "{\"model\": \xff");
  CHECK(Contains(copy.Refusal(), "not JSON"));
}

TEST_CASE("hf: brackets without end are refused in every file of a folder") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"}) {
    CAPTURE(name);
    const Copy copy("tiny-qwen2-hf");
    const std::string text = ReadFile(copy.directory / name);
    WriteFile(copy.directory / name, "{\"model\":{\"x\":" + deep + "}," + text.substr(1));
    const std::string message = copy.Refusal();
    CAPTURE(message);
    CHECK(Contains(message, name));
    CHECK(Contains(message, "nested deeper than 100"));
  }
}

TEST_CASE("hf: a vocabulary that the weights do not have takes no memory") {
  for (const int vocab : {1 << 24, 1 << 22, 100'000}) {
    CAPTURE(vocab);
    const Copy copy("tiny-qwen2-hf");
    copy.Edit("config.json", [&](json& c) { c["vocab_size"] = vocab; });
    // Known before the tokenizer, whose lists would be as long, is looked at.
    fs::remove(copy.directory / "tokenizer.json");
    const std::string message = copy.Refusal();
    CAPTURE(message);
    CHECK(Contains(message, "config.json"));
    CHECK_FALSE(Contains(message, "tokenizer.json"));
  }
}

TEST_CASE("hf: SentencePiece vocabularies of real families, from tokenizer.json alone") {
  const auto json_path = test::SharedFile("data/tokenizers/hf/llama2/tokenizer.json");
  const auto gguf_path = test::SharedFile("data/tokenizers/vocab-llama-spm.gguf");
  if (!json_path || !gguf_path) {
    test::Skip("../shared/data/tokenizers is not here");
    return;
  }
  const HfTokenizerFiles files{JsonObject::Read(*json_path),
                               JsonObject::Read(json_path->parent_path() / "tokenizer_config.json"),
                               std::nullopt, JsonObject(json::object(), "config.json")};
  std::vector<std::string> warnings;
  const auto converted = LoadTokenizer(
      *GgufFile::FromParts("llama2", HfTokenizerMetadata(files, 32000, warnings), {}));
  CHECK(warnings.empty());
  const auto expected = LoadTokenizer(*GgufFile::Open(*gguf_path));
  CHECK(converted->vocabulary().tokens == expected->vocabulary().tokens);
  CHECK(converted->vocabulary().types == expected->vocabulary().types);
  CHECK(converted->adds_bos());
  const std::string text =
      ReadFile(*test::SharedFile("data/tokenizers/vocab-llama-spm.inp")).substr(0, 1900);
  CHECK(converted->Encode(text) == expected->Encode(text));
}

}  // namespace
}  // namespace crossover::engine

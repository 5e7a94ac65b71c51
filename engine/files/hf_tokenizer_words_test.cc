// What the tokenizer's files of a Hugging Face directory say: each word is honoured, known to
// change nothing, told, or refused by name. The tiny models of tests/data with words changed.
#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/files/test_hf_directory.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;
using hf_test::Copy;
using hf_test::Lines;
using nlohmann::json;
using test::Contains;
using tokenizer::TokenId;
using Ids = std::vector<TokenId>;

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

#include "engine/model/load_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/files/gguf_writer.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using tokenizer::EncodeOptions;
using tokenizer::TokenId;
using tokenizer::Tokenizer;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr std::string_view kFamilies[] = {"gpt-2", "llama3", "qwen2", "llama-spm", "phi-3"};

std::unique_ptr<const Tokenizer> Load(const std::filesystem::path& path) {
  return LoadTokenizer(*GgufFile::Open(path));
}

std::vector<std::string> SplitBy(const std::string& text, std::string_view separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + separator.size();
  }
}

TEST_CASE("goldens: every case of five families") {
  for (std::string_view family : kFamilies) {
    CAPTURE(std::string(family));
    const std::string base = fmt::format("data/tokenizers/vocab-{}", family);
    const auto vocabulary = test::SharedFile(base + ".gguf");
    if (!vocabulary) return test::Skip("../shared/" + base + ".gguf is not there");
    const auto tokenizer = Load(*vocabulary);
    const auto inputs =
        SplitBy(ReadFile(*test::SharedFile(base + ".inp")), "\n__ggml_vocab_test__\n");
    const auto outputs = SplitBy(ReadFile(*test::SharedFile(base + ".out")), "\n");
    REQUIRE(inputs.size() > 40);
    REQUIRE(outputs.size() >= inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      CAPTURE(inputs[i]);
      std::istringstream numbers(outputs[i]);
      Ids expected;
      for (TokenId id; numbers >> id;) expected.push_back(id);
      CHECK(tokenizer->Encode(inputs[i], kPlain) == expected);
    }
  }
}

TEST_CASE("WikiText-2 goes to ids and back unchanged in five families") {
  const auto text_file = test::SharedFile("data/evals/wikitext2/wiki.test.raw");
  if (!text_file) return test::Skip("../shared/data/evals/wikitext2 is not there");
  const std::string text = ReadFile(*text_file);
  for (std::string_view family : kFamilies) {
    CAPTURE(std::string(family));
    const auto vocabulary = test::SharedFile(fmt::format("data/tokenizers/vocab-{}.gguf", family));
    if (!vocabulary) return test::Skip("../shared/data/tokenizers is not there");
    const auto tokenizer = Load(*vocabulary);
    const Ids ids = tokenizer->Encode(text);
    CHECK(ids.size() < text.size() / 3);
    CHECK(tokenizer->Decode(ids) == text);
  }
}

TEST_CASE("Phi-3's chat markers swallow the line break behind them") {
  const auto vocabulary = test::SharedFile("data/tokenizers/vocab-phi-3.gguf");
  if (!vocabulary) return test::Skip("../shared/data/tokenizers is not there");
  const auto tokenizer = Load(*vocabulary);
  const Ids with = tokenizer->Encode("<|user|>\nHi<|end|>\n<|assistant|>\n");
  CHECK(with == tokenizer->Encode("<|user|>Hi<|end|><|assistant|>"));
  CHECK(tokenizer->IsEndOfGeneration(with[with.size() - 2]));
  CHECK_FALSE(tokenizer->IsEndOfGeneration(with.back()));
}

// Ids as llama.cpp's tokenizer gives them for models/reference-xs.gguf.
TEST_CASE("the embedded family's tokenizer") {
  const auto tokenizer = Load(test::SourceRoot() / "models" / "reference-xs.gguf");
  CHECK(tokenizer->size() == 4096);
  CHECK(tokenizer->adds_bos());
  CHECK_FALSE(tokenizer->adds_eos());
  CHECK(tokenizer->IsEndOfGeneration(4095));
  CHECK(tokenizer->Encode("Once upon a time, there was a little girl named Lily.") ==
        Ids{4095, 2179, 369, 686, 258, 599, 44, 450, 308, 258, 479, 721, 294, 2005, 486, 762, 46});
  CHECK(
      tokenizer->Encode("She said: \"I don't know!\" 12345 + 678") ==
      Ids{4095, 1094, 376, 58, 359, 73, 747, 416, 549, 703, 32, 1491, 51, 2490, 739, 32, 3426, 56});
  const std::string mixed = "café 😀\n\n\tEnd<|endoftext|>x";
  CHECK(tokenizer->Encode(mixed) ==
        Ids{4095, 99, 2927, 2752, 32, 240, 159, 152, 128, 396, 9, 69, 264, 4095, 120});
  CHECK(tokenizer->Encode(mixed, kPlain) == Ids{99,  2927, 2752, 32,   240, 159, 152,
                                                128, 396,  9,    69,   264, 60,  124,
                                                627, 111,  580,  3684, 124, 62,  120});
  CHECK(tokenizer->Encode("") == Ids{4095});
}

TEST_CASE("the embedded held-out text goes to ids and back unchanged") {
  const auto models = test::SourceRoot() / "models";
  const auto tokenizer = Load(models / "reference-xs.gguf");
  const std::string text = ReadFile(models / "heldout.txt");
  CHECK(tokenizer->Decode(tokenizer->Encode(text)) == text);
}

using Metadata = std::vector<std::pair<std::string, GgufValue>>;

GgufValue StringValue(std::string text) {
  return {GgufType::kString, GgufType::kU8, std::move(text)};
}
GgufValue StringArray(std::vector<std::string> texts) {
  return {GgufType::kArray, GgufType::kString, std::move(texts)};
}
GgufValue IntegerArray(std::vector<int64_t> numbers) {
  return {GgufType::kArray, GgufType::kI32, std::move(numbers)};
}

Metadata SmallMetadata() {
  return {
      {"general.architecture", StringValue("llama")},
      {"tokenizer.ggml.model", StringValue("llama")},
      {"tokenizer.ggml.tokens", StringArray({"<unk>", "<s>", "</s>", "▁", "a", "▁a"})},
      {"tokenizer.ggml.scores",
       {GgufType::kArray, GgufType::kF32, std::vector<double>{0, 0, 0, -1, -2, -3}}},
      {"tokenizer.ggml.token_type", IntegerArray({2, 3, 3, 1, 1, 1})},
      {"tokenizer.ggml.padding_token_id", {GgufType::kU32, GgufType::kU8, uint64_t{UINT32_MAX}}},
  };
}

std::unique_ptr<const Tokenizer> LoadMetadata(const Metadata& metadata) {
  const test::TemporaryDirectory directory;
  GgufWriter writer(directory / "vocab.gguf", metadata, {});
  writer.Commit();
  return Load(directory / "vocab.gguf");
}

TEST_CASE("metadata: defaults, and an id of -1 is none") {
  const auto tokenizer = LoadMetadata(SmallMetadata());
  CHECK(tokenizer->adds_bos());
  CHECK_FALSE(tokenizer->vocabulary().padding);
  CHECK(tokenizer->Encode("a a") == Ids{1, 5, 5});
}

TEST_CASE("metadata: what is missing or of another type is an error that names file and key") {
  const auto check = [](std::string_view key, std::optional<GgufValue> value) {
    CAPTURE(std::string(key));
    Metadata metadata = SmallMetadata();
    const auto at = std::find_if(metadata.begin(), metadata.end(),
                                 [&](const auto& entry) { return entry.first == key; });
    if (at != metadata.end()) metadata.erase(at);
    if (value) metadata.emplace_back(key, *value);
    try {
      LoadMetadata(metadata);
      FAIL("accepted");
    } catch (const Error& error) {
      const std::string message = error.what();
      CHECK(message.find(key) != std::string::npos);
      CHECK(message.find("vocab.gguf") != std::string::npos);
    }
  };
  check("tokenizer.ggml.model", std::nullopt);
  check("tokenizer.ggml.model", StringValue("bert"));
  check("tokenizer.ggml.tokens", std::nullopt);
  check("tokenizer.ggml.tokens", IntegerArray({1, 2}));
  check("tokenizer.ggml.tokens", StringValue("a"));
  check("tokenizer.ggml.scores", std::nullopt);
  check("tokenizer.ggml.scores", IntegerArray({1}));
  check("tokenizer.ggml.scores", StringArray({"a"}));
  check("tokenizer.ggml.token_type", IntegerArray({1, 2, 3, 4, 5, 99}));
  check("tokenizer.ggml.token_type", IntegerArray({1}));
  check("tokenizer.ggml.bos_token_id", GgufValue{GgufType::kU32, GgufType::kU8, uint64_t{6}});
  check("tokenizer.ggml.eos_token_id", StringValue("</s>"));
  check("tokenizer.ggml.eos_token_id", GgufValue{GgufType::kU64, GgufType::kU8, uint64_t{1} << 40});
  check("tokenizer.ggml.add_bos_token", StringValue("yes"));
  check("tokenizer.ggml.eom_token_id", GgufValue{GgufType::kU32, GgufType::kU8, uint64_t{6}});
  check("tokenizer.ggml.normalizer.lowercase", GgufValue{GgufType::kBool, GgufType::kU8, true});
}

TEST_CASE("metadata: keys that are not honoured are told, others are not") {
  const auto warnings = [](const Metadata& more) {
    Metadata metadata = SmallMetadata();
    metadata.insert(metadata.end(), more.begin(), more.end());
    std::string all;
    const auto tokenizer = LoadMetadata(metadata);
    for (const std::string& warning : tokenizer->warnings()) all += warning + '\n';
    return all;
  };
  const GgufValue yes{GgufType::kBool, GgufType::kU8, true};
  const GgufValue no{GgufType::kBool, GgufType::kU8, false};
  // The small vocabulary has no byte tokens.
  const std::string plain = warnings({});
  CHECK(std::ranges::count(plain, '\n') == 1);
  CHECK(warnings({{"tokenizer.ggml.remove_extra_whitespaces", no},
                  {"tokenizer.ggml.precompiled_charsmap", IntegerArray({})},
                  {"tokenizer.ggml.add_sep_token", no},
                  {"tokenizer.ggml.add_space_prefix", yes},
                  {"tokenizer.ggml.fim_pre_token_id", {GgufType::kU32, GgufType::kU8, uint64_t{3}}},
                  {"tokenizer.chat_template.tool_use", StringValue("x")}}) == plain);
  for (const auto& [key, value] :
       Metadata{{"tokenizer.ggml.remove_extra_whitespaces", yes},
                {"tokenizer.ggml.precompiled_charsmap", IntegerArray({1, 2})},
                {"tokenizer.ggml.add_sep_token", yes},
                {"tokenizer.ggml.made_up", no}}) {
    CAPTURE(key);
    const std::string all = warnings({{key, value}});
    CHECK(std::ranges::count(all, '\n') == 2);
    CHECK(all.find(key) != std::string::npos);
  }
}

}  // namespace
}  // namespace crossover::engine

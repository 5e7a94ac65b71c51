#include "tokenizer/byte_level_bpe.h"

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"
#include "tokenizer/test_vocabulary.h"
#include "tokenizer/utf8.h"

namespace crossover::tokenizer {
namespace {

using Ids = std::vector<TokenId>;
using test::ByteLevelVocabulary;
constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};

TEST_CASE("byte-level BPE: merges by rank, inside words only") {
  // 256 "he", 257 "ll", 258 "hell", 259 "Ġw", 260 "lo"
  const auto tokenizer =
      Tokenizer::Create(ByteLevelVocabulary("gpt-2", {"h e", "l l", "he ll", "Ġ w", "l o"}));
  CHECK(tokenizer->Encode("hello", kPlain) == Ids{258, 'o'});  // "l l" comes before "l o"
  CHECK(tokenizer->Encode("helo", kPlain) == Ids{256, 260});
  CHECK(tokenizer->Encode(" we", kPlain) == Ids{259, 'e'});
  CHECK(tokenizer->Encode("h e", kPlain) == Ids{'h', ' ', 'e'});
  CHECK(tokenizer->Encode("hello hello", kPlain) == Ids{258, 'o', ' ', 258, 'o'});
  CHECK(tokenizer->Encode("", kPlain).empty());
}

TEST_CASE("byte-level BPE: a whole word that is a token needs no merges in llama-bpe") {
  auto vocabulary = ByteLevelVocabulary("gpt-2", {"a b"}, {{"abc", TokenType::kNormal}});
  CHECK(Tokenizer::Create(vocabulary)->Encode("abc", kPlain) == Ids{256, 'c'});
  vocabulary.pre = "llama-bpe";
  CHECK(Tokenizer::Create(vocabulary)->Encode("abc", kPlain) == Ids{257});
  CHECK(Tokenizer::Create(vocabulary)->Encode("abcd", kPlain) == Ids{256, 'c', 'd'});
}

TEST_CASE("byte-level BPE: special tokens") {
  const auto tokenizer = Tokenizer::Create(ByteLevelVocabulary(
      "qwen2", {}, {{"<|x|>", TokenType::kControl}, {"<u>", TokenType::kUserDefined}}));
  CHECK(tokenizer->Encode("a<|x|>b<u>") == Ids{'a', 256, 'b', 257});
  CHECK(tokenizer->Encode("<|x|><u>", kPlain) == Ids{'<', '|', 'x', '|', '>', 257});
  const Ids ids = {'a', 256, 257};
  CHECK(tokenizer->Decode(ids) == "a<u>");
  CHECK(tokenizer->Decode(ids, /*special=*/true) == "a<|x|><u>");
  CHECK_THROWS_AS(tokenizer->Decode(258), Error);
  CHECK_THROWS_AS(tokenizer->Decode(-1), Error);
}

TEST_CASE("byte-level BPE: BOS and EOS by family, by key") {
  auto vocabulary = ByteLevelVocabulary(
      "gpt-2", {}, {{"<b>", TokenType::kControl}, {"<e>", TokenType::kControl}});
  vocabulary.bos = 256;
  vocabulary.eos = 257;
  vocabulary.add_bos.reset();
  CHECK(Tokenizer::Create(vocabulary)->Encode("a") == Ids{'a'});
  vocabulary.pre = "llama-bpe";
  const auto llama = Tokenizer::Create(vocabulary);
  CHECK(llama->adds_bos());
  CHECK_FALSE(llama->adds_eos());
  CHECK(llama->Encode("a") == Ids{256, 'a'});
  CHECK(llama->Encode("") == Ids{256});
  CHECK(llama->Encode("a", kPlain) == Ids{'a'});
  CHECK(llama->IsEndOfGeneration(257));
  CHECK_FALSE(llama->IsEndOfGeneration(256));
  CHECK_FALSE(llama->IsEndOfGeneration(-1));
  CHECK_FALSE(llama->IsEndOfGeneration(1000));
  vocabulary.add_bos = false;
  vocabulary.add_eos = true;
  CHECK(Tokenizer::Create(vocabulary)->Encode("a") == Ids{'a', 257});
}

TEST_CASE("tokens known to end a turn are control tokens whatever the file says") {
  const auto tokenizer = Tokenizer::Create(ByteLevelVocabulary(
      "qwen2", {}, {{"<|im_end|>", TokenType::kNormal}, {"<|end|>", TokenType::kUserDefined}}));
  CHECK(tokenizer->IsEndOfGeneration(256));
  CHECK(tokenizer->IsEndOfGeneration(257));
  CHECK(tokenizer->Encode("<|im_end|>") == Ids{256});
  CHECK(tokenizer->Encode("<|end|>", kPlain).size() == 7);
  // Harmony: <|end|> ends a message, <|return|> the turn.
  const auto harmony = Tokenizer::Create(ByteLevelVocabulary("gpt-4o", {},
                                                             {{"<|end|>", TokenType::kControl},
                                                              {"<|return|>", TokenType::kControl},
                                                              {"<|call|>", TokenType::kControl}}));
  CHECK_FALSE(harmony->IsEndOfGeneration(256));
  CHECK(harmony->IsEndOfGeneration(257));
}

TEST_CASE("a byte without a token is the unknown token, or a clear error") {
  auto vocabulary = ByteLevelVocabulary("gpt-2", {}, {{"<unk>", TokenType::kUnknown}});
  vocabulary.tokens['z'].clear();
  CHECK_THROWS_AS(Tokenizer::Create(vocabulary)->Encode("az", kPlain), Error);
  CHECK(Tokenizer::Create(vocabulary)->Encode("ab", kPlain) == Ids{'a', 'b'});
  vocabulary.unknown = 256;
  CHECK(Tokenizer::Create(vocabulary)->Encode("az", kPlain) == Ids{'a', 256});
}

std::string Warnings(const Tokenizer& tokenizer) {
  std::string all;
  for (const std::string& warning : tokenizer.warnings()) all += warning + '\n';
  return all;
}

TEST_CASE("byte-level BPE: tokens of several bytes that nothing merges are refused") {
  using crossover::test::Contains;
  auto vocabulary = ByteLevelVocabulary("gpt-2", {"h e", "l l", "he ll"});
  CHECK(Tokenizer::Create(vocabulary)->warnings().empty());
  vocabulary.merges.clear();
  const std::string message = crossover::test::RefusalOf([&] { Tokenizer::Create(vocabulary); });
  CHECK(Contains(message, "tokenizer.ggml.merges: missing or empty, but 3 tokens"));
  // Whole words are looked up, but theirs is no reason to let parts fall to bytes.
  vocabulary.pre = "llama-bpe";
  CHECK_THROWS_AS(Tokenizer::Create(vocabulary), Error);
  vocabulary = ByteLevelVocabulary("gpt-2", {"h e", "l l", "he ll"});
  vocabulary.merges.resize(1);
  CHECK(Contains(Warnings(*Tokenizer::Create(vocabulary)), "makes only 1 of the 3 tokens"));
  // Bytes alone, and control tokens, need none.
  CHECK(Tokenizer::Create(ByteLevelVocabulary("gpt-2", {}, {{"<|user|>", TokenType::kControl}}))
            ->warnings()
            .empty());
}

TEST_CASE("byte-level BPE: what the file does not say is told") {
  using crossover::test::Contains;
  for (const char* pre : {"", "default"}) {
    CAPTURE(pre);
    const auto tokenizer = Tokenizer::Create(ByteLevelVocabulary(pre, {"h e"}));
    REQUIRE(tokenizer->warnings().size() == 1);
    CHECK(Contains(tokenizer->warnings()[0], "tokenizer.ggml.pre is"));
  }
  auto vocabulary = ByteLevelVocabulary("gpt-2", {"h e"}, {{"<unk>", TokenType::kUnknown}});
  vocabulary.types.clear();
  CHECK(Contains(Warnings(*Tokenizer::Create(vocabulary)), "tokenizer.ggml.token_type is missing"));
  vocabulary = ByteLevelVocabulary("gpt-2", {"h e"}, {{"<unk>", TokenType::kUnknown}});
  vocabulary.unknown = 257;
  vocabulary.tokens['z'].clear();
  CHECK(Contains(Warnings(*Tokenizer::Create(vocabulary)), "lacks 1 of the bytes"));
  // Published vocabularies lack bytes that hardly any text has.
  vocabulary = ByteLevelVocabulary("gpt-2", {"h e"}, {{"<unk>", TokenType::kUnknown}});
  vocabulary.unknown = 257;
  for (const int byte : {0x04, 0xC0, 0xF2, 0xFF}) vocabulary.tokens[byte].clear();
  CHECK(Tokenizer::Create(vocabulary)->warnings().empty());
}

// A vocabulary of many merges, grown from random bytes so that multi-byte characters are cut.
Vocabulary RandomVocabulary(std::mt19937& random, std::string pre) {
  std::vector<std::string> texts, merges;
  for (char byte : std::string_view("ab \n1\xC3\xA9\xE2\x96\x81\xFF")) {
    texts.push_back(ByteLevelText(static_cast<uint8_t>(byte)));
  }
  while (merges.size() < 60) {
    const std::string left = texts[random() % texts.size()], right = texts[random() % texts.size()];
    if (std::find(texts.begin(), texts.end(), left + right) != texts.end()) continue;
    texts.push_back(left + right);
    merges.push_back(left + " " + right);
  }
  return ByteLevelVocabulary(std::move(pre), std::move(merges));
}

std::string RandomText(std::mt19937& random, size_t length) {
  constexpr std::string_view kUnits[] = {"a",  "b",   " ",        "\n",   "1",
                                         "é",  "▁",   "\xFF",     "\xC3", "\xE2\x96",
                                         "ab", "'ll", "\xF0\x9F", "🦙"};
  std::string text;
  while (text.size() < length) text += kUnits[random() % std::size(kUnits)];
  return text;
}

TEST_CASE("byte-level BPE: an unknown pre-tokenizer is told of by name, and GPT-2's taken") {
  const auto made = Tokenizer::Create(ByteLevelVocabulary("klingon", {"h e", "1 2"}));
  const auto& warnings = made->warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("tokenizer.ggml.pre is 'klingon'") != std::string::npos);
  const auto gpt2 = Tokenizer::Create(ByteLevelVocabulary("gpt-2", {"h e", "1 2"}));
  CHECK(gpt2->warnings().empty());
  CHECK(made->Encode("he 12's") == gpt2->Encode("he 12's"));
  // A name of a hostile file stays one line.
  const auto hostile = Tokenizer::Create(ByteLevelVocabulary("a\nb", {}));
  CHECK(hostile->warnings()[0].find('\n') == std::string::npos);
}

TEST_CASE("any bytes survive Encode and Decode") {
  std::mt19937 random(3);
  for (std::string_view pre : {"gpt-2", "llama-bpe", "qwen2", "smollm", "default"}) {
    const auto tokenizer = Tokenizer::Create(RandomVocabulary(random, std::string(pre)));
    for (int round = 0; round < 60; ++round) {
      std::string text = RandomText(random, random() % 400);
      if (round % 2 == 0) {
        for (char& byte : text) byte = static_cast<char>(random());
      }
      CHECK(tokenizer->Decode(tokenizer->Encode(text)) == text);
    }
  }
}

TEST_CASE("words encode the same alone and in a text, cached or not, on any thread") {
  std::mt19937 random(5);
  const Vocabulary vocabulary = RandomVocabulary(random, "gpt-2");
  const auto tokenizer = Tokenizer::Create(vocabulary);
  const PreTokenizer pre_tokenizer(FindPreTokenizerFamily("gpt-2"));
  const std::string text = RandomText(random, 20000);
  Ids expected;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = Utf8RunEnd(text, begin);
    if (end == begin) {
      expected.push_back(static_cast<uint8_t>(text[begin++]));
      continue;
    }
    pre_tokenizer.Split(std::string_view(text).substr(begin, end - begin), [&](auto word) {
      const Ids ids = tokenizer->Encode(word, kPlain);
      expected.insert(expected.end(), ids.begin(), ids.end());
    });
    begin = end;
  }
  Ids here, there;
  std::thread other([&] { there = tokenizer->Encode(text, kPlain); });
  here = tokenizer->Encode(text, kPlain);
  other.join();
  CHECK(here == expected);
  CHECK(there == expected);
}

TEST_CASE("a word of a megabyte is encoded in reasonable steps") {
  const auto tokenizer =
      Tokenizer::Create(ByteLevelVocabulary("gpt-2", {"a a", "aa aa", "aaaa aaaa"}));
  const Ids ids = tokenizer->Encode(std::string(1 << 20, 'a'), kPlain);
  CHECK(ids == Ids(1 << 17, 258));
}

}  // namespace
}  // namespace crossover::tokenizer

#include "tokenizer/pre_tokenizer.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::tokenizer {
namespace {

using Words = std::vector<std::string>;

Words Split(std::string_view family, std::string_view text) {
  Words words;
  const PreTokenizer pre_tokenizer(FindPreTokenizerFamily(family));
  pre_tokenizer.Split(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST_CASE("gpt-2 words") {
  CHECK(Split("gpt-2", "Hello world") == Words{"Hello", " world"});
  CHECK(Split("gpt-2", "I'll don't I'LL") == Words{"I", "'ll", " don", "'t", " I", "'", "LL"});
  CHECK(Split("gpt-2", "x  12345 y") == Words{"x", " ", " 12345", " y"});
  CHECK(Split("gpt-2", "a\n\n b\t") == Words{"a", "\n\n", " b", "\t"});
  CHECK(Split("gpt-2", "wow!!! ...") == Words{"wow", "!!!", " ..."});
}

TEST_CASE("llama-bpe words") {
  CHECK(Split("llama-bpe", "I'LL go") == Words{"I", "'LL", " go"});
  CHECK(Split("llama-bpe", "12345 678") == Words{"123", "45", " ", "678"});
  CHECK(Split("llama-bpe", "(word) x.y\n\n  z") ==
        Words{"(word", ")", " x", ".y", "\n\n", " ", " z"});
  CHECK(Split("llama-bpe", "end.\r\n") == Words{"end", ".\r\n"});
  CHECK(Split("llama3", "ſ'ſa") == Words{"ſ", "'ſ", "a"});  // caseless s, Unicode's rule
}

TEST_CASE("qwen2 takes digits one by one") {
  CHECK(Split("qwen2", "a 123") == Words{"a", " ", "1", "2", "3"});
  CHECK(Split("qwen2", "they're\t\tok") == Words{"they", "'re", "\t", "\tok"});
}

TEST_CASE("families of several patterns cut what the one before left") {
  CHECK(Split("smollm", "in 2024!") == Words{"in", " ", "2", "0", "2", "4", "!"});
  CHECK(Split("deepseek-v3", "x1234漢字.word") == Words{"x", "123", "4", "漢字", ".word"});
}

TEST_CASE("a space is what Unicode calls White_Space") {
  CHECK(Split("gpt-2", "a\u00A0b") == Words{"a", "\u00A0", "b"});
  CHECK(Split("gpt-2", "a\u3000\u3000b") == Words{"a", "\u3000", "\u3000", "b"});
  CHECK(Split("gpt-2", "a\u0085") == Words{"a", "\u0085"});
  CHECK(Split("gpt-2", "!\u180E!") == Words{"!\u180E!"});  // left White_Space with Unicode 6.3
}

TEST_CASE("words together are the text, in every family") {
  const std::string text =
      "It's  1234567 o'clock,\r\n\r\n\tSIR! été e\u0301 漢字かな 한국어 🦙🏽 <|x|> "
      "a_b-c/d… "
      " "
      "\n ";
  for (const PreTokenizerFamily& family : PreTokenizerFamilies()) {
    CAPTURE(std::string(family.names[0]));
    std::string joined;
    for (const std::string& word : Split(family.names[0], text)) {
      CHECK_FALSE(word.empty());
      joined += word;
    }
    CHECK(joined == text);
    CHECK(Split(family.names[0], "").empty());
  }
}

TEST_CASE("a word may be as long as the text") {
  constexpr size_t kRepeats = 1 << 20;
  for (std::string_view unit : {"a", "é", " ", "\n", "1", "!", "\u0301", "A", "' "}) {
    std::string text;
    for (size_t i = 0; i < kRepeats; ++i) text += unit;
    for (std::string_view family : {"gpt-2", "llama-bpe", "qwen2", "gpt-4o"}) {
      size_t bytes = 0;
      PreTokenizer(FindPreTokenizerFamily(family)).Split(text, [&](std::string_view word) {
        bytes += word.size();
      });
      CHECK(bytes == text.size());
    }
  }
}

TEST_CASE("an unknown family is named, with the known ones") {
  try {
    FindPreTokenizerFamily("klingon");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnsupported);
    const std::string message = error.what();
    CHECK(message.find("'klingon'") != std::string::npos);
    CHECK(message.find("llama-bpe") != std::string::npos);
  }
}

TEST_CASE("a malformed pattern is an error, not a crash") { CHECK_THROWS_AS(Regex("(a"), Error); }

}  // namespace
}  // namespace crossover::tokenizer

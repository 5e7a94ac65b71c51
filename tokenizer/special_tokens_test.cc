#include "tokenizer/special_tokens.h"

#include <algorithm>
#include <random>
#include <string>

#include "tests/support/test_support.h"

namespace crossover::tokenizer {
namespace {

TEST_CASE("special tokens: the first place, and there the longest") {
  const SpecialTokens tokens({{"<a", 1}, {"<a>", 2}, {"<a><b>", 3}, {"b>", 4}, {"  ", 5}});
  const auto find = [&](std::string_view text, size_t offset = 0) {
    const auto match = tokens.Find(text, offset);
    return match ? match->id : -1;
  };
  CHECK(find("x<a><b>") == 3);
  CHECK(find("x<a><c>") == 2);
  CHECK(find("x<ab>") == 1);
  CHECK(find("x<ab>", 2) == 4);
  CHECK(find("x < a") == -1);
  CHECK(find("<") == -1);
  CHECK(find("") == -1);
  CHECK(find("a   b") == 5);
  const auto match = tokens.Find("xx<a>", 1);
  REQUIRE(match);
  CHECK(match->begin == 2);
  CHECK(match->end == 5);
}

TEST_CASE("special tokens: none to look for") { CHECK_FALSE(SpecialTokens({}).Find("<s>", 0)); }

TEST_CASE("special tokens: the longest of many that begin each other") {
  std::vector<std::string> texts;
  for (size_t size = 1; size < 200; size += 2) texts.emplace_back(size, 'a');
  texts.push_back(std::string(250, 'a') + "z");
  std::vector<SpecialTokens::Entry> entries;
  for (const std::string& text : texts) entries.push_back({text, static_cast<int>(text.size())});
  const SpecialTokens tokens(entries);
  for (size_t size = 1; size < 300; ++size) {
    CAPTURE(size);
    for (const char* behind : {"", "b", "Z"}) {
      const auto match = tokens.Find(std::string(size, 'a') + behind, 0);
      REQUIRE(match);
      CHECK(match->begin == 0);
      CHECK(match->end == std::min<size_t>(size - (size % 2 == 0), 199));
    }
  }
  CHECK(tokens.Find(texts.back(), 0)->id == 251);
}

// Going through them byte by byte at each place took minutes.
TEST_CASE("special tokens: those that nearly begin everywhere take reasonable steps") {
  constexpr size_t kLongest = 4'096;
  std::vector<std::string> texts;
  for (size_t size = 1; size < kLongest; ++size) texts.push_back(std::string(size, 'a') + 'b');
  std::vector<SpecialTokens::Entry> entries;
  for (const std::string& text : texts) entries.push_back({text, static_cast<int>(text.size())});
  const SpecialTokens tokens(entries);
  const std::string text(200'000, 'a');
  CHECK_FALSE(tokens.Find(text, 0));
  CHECK(tokens.Find(text + 'b', 0)->begin == text.size() - (kLongest - 1));
}

TEST_CASE("special tokens agree with trying each at each place") {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> texts;
    for (int i = 0; i < 12; ++i) {
      std::string text;
      for (size_t length = 1 + random() % 5; length > 0; --length) text += "ab\xFF"[random() % 3];
      if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
    }
    std::vector<SpecialTokens::Entry> entries;
    for (size_t i = 0; i < texts.size(); ++i) entries.push_back({texts[i], static_cast<int>(i)});
    const SpecialTokens tokens(entries);
    std::string text;
    for (int i = 0; i < 30; ++i) text += "abc\xFF"[random() % 4];
    int expected = -1;
    size_t begin = 0;
    for (; begin < text.size() && expected < 0; ++begin) {
      for (size_t i = 0; i < texts.size(); ++i) {
        const bool here = text.compare(begin, texts[i].size(), texts[i]) == 0;
        const bool longer = expected < 0 || texts[i].size() > texts[expected].size();
        if (here && longer) expected = static_cast<int>(i);
      }
    }
    const auto match = tokens.Find(text, 0);
    CHECK((match ? match->id : -1) == expected);
    if (match) CHECK(match->begin == begin - 1);
  }
}

}  // namespace
}  // namespace crossover::tokenizer

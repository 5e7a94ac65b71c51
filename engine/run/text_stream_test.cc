#include "engine/run/text_stream.h"

#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"
#include "tokenizer/utf8.h"

namespace crossover::engine {
namespace {

// What comes of the pieces; every part that is shown must be whole characters.
std::string Stream(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  TextStream stream(stops);
  std::string text;
  for (const std::string& piece : pieces) {
    const std::string shown = stream.Push(piece);
    CHECK(tokenizer::Utf8RunEnd(shown, 0) == shown.size());
    text += shown;
    if (stream.stopped()) break;
  }
  return text + stream.Finish();
}

TEST_CASE("text goes through as it comes") {
  TextStream stream({});
  CHECK(stream.Push("Once") == "Once");
  CHECK(stream.Push("") == "");
  CHECK(stream.Push(" upon") == " upon");
  CHECK(stream.Finish() == "");
}

TEST_CASE("a character is held back until it is whole") {
  TextStream stream({});
  CHECK(stream.Push("a\xF0\x9F") == "a");
  CHECK(stream.Push("\xA6") == "");
  CHECK(stream.Push("\x99z\xE2") == "🦙z");
  CHECK(stream.Push("x") == "\uFFFDx");
  CHECK(stream.Push("\xE2\x96") == "");
  CHECK(stream.Finish() == "\uFFFD\uFFFD");
}

TEST_CASE("a stop string is found across pieces, and what may become one is held back") {
  TextStream stream({"</end>", "\nUser:"});
  CHECK(stream.Push("text <") == "text ");
  CHECK(stream.Push("/en") == "");
  CHECK(stream.Push("try> ") == "</entry> ");
  CHECK(stream.Push("more\nUs") == "more");
  CHECK_FALSE(stream.stopped());
  CHECK(stream.Push("er: and so on") == "");
  CHECK(stream.stopped());
  CHECK(stream.Finish() == "");
}

TEST_CASE("an end that repeats its own beginning is not missed") {
  CHECK(Stream({"aab"}, {"aa", "ab", "c"}) == "a");
  CHECK(Stream({"abab"}, {"ab", "aab", "ab"}) == "aba");
  CHECK(Stream({"\n\n"}, {"a\n", "b\n", "\n"}) == "a\nb");
}

TEST_CASE("a stop string may begin or end inside a piece or a character") {
  CHECK(Stream({"é"}, {"a\xC3", "\xA9z"}) == "a");
  CHECK(Stream({"\xA9z"}, {"a\xC3", "\xA9", "z"}) == "a\uFFFD");
  CHECK(Stream({"\xA9z"}, {"a\xC3", "\xA9", "y"}) == "aéy");
}

TEST_CASE("the stop string that is complete first counts, of those the longest") {
  CHECK(Stream({"bcd", "c"}, {"abcd"}) == "ab");
  CHECK(Stream({"c", "bc"}, {"abcd"}) == "a");
}

TEST_CASE("where the pieces end makes no difference") {
  std::mt19937 random(5);
  const std::vector<std::string> stops{"ab", "b\xC3\xA9", "aaa", "\xA9"};
  const std::string alphabet[] = {"a", "b", "é", "\xC3", "\xA9", "🦙", "c"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += alphabet[random() % std::size(alphabet)];
    std::vector<std::string> bytes, pieces{""};
    for (const char c : text) {
      bytes.emplace_back(1, c);
      if (random() % 3 == 0) pieces.emplace_back();
      pieces.back() += c;
    }
    CAPTURE(text);
    REQUIRE(Stream(stops, bytes) == Stream(stops, {text}));
    REQUIRE(Stream(stops, pieces) == Stream(stops, {text}));
    REQUIRE(Stream({}, pieces) == tokenizer::Utf8Repaired(text));
  }
}

TEST_CASE("an empty stop string is refused") { CHECK_THROWS_AS(TextStream({"a", ""}), Error); }

}  // namespace
}  // namespace crossover::engine

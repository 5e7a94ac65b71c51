#include "tokenizer/utf8.h"

#include <string>

#include "tests/support/test_support.h"

namespace crossover::tokenizer {
namespace {

TEST_CASE("UTF-8: lengths of well-formed characters") {
  CHECK(Utf8Length("a", 0) == 1);
  CHECK(Utf8Length("é", 0) == 2);
  CHECK(Utf8Length("▁", 0) == 3);
  CHECK(Utf8Length("🦙", 0) == 4);
  CHECK(Utf8Length("a▁b", 1) == 3);
}

TEST_CASE("UTF-8: malformed sequences have no length") {
  for (std::string_view text :
       {"\x80", "\xC3", "\xC3(", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xE2\x96", "\xED\xA0\x80",
        "\xF0\x80\x80\xAF", "\xF0\x9F\xA6", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\xFF"}) {
    CAPTURE(std::string(text));
    CHECK(Utf8Length(text, 0) == 0);
  }
}

TEST_CASE("UTF-8: runs end at the first malformed byte, wherever it stands") {
  for (size_t before = 0; before < 40; ++before) {
    const std::string text = std::string(before, 'x') + "é\xFFyz";
    CHECK(Utf8RunEnd(text, 0) == before + 2);
    CHECK(Utf8RunEnd(text, before + 2) == before + 2);
    CHECK(Utf8RunEnd(text, before + 3) == text.size());
  }
  CHECK(Utf8RunEnd("", 0) == 0);
}

TEST_CASE("UTF-8: a cut character is told from one that cannot become any") {
  const std::string all = "aé▁🦙\u0800\uD7FF\U00010000\U0010FFFF";
  for (size_t begin = 0; begin < all.size();) {
    const size_t length = Utf8Length(all, begin);
    for (size_t cut = 0; cut < length; ++cut) {
      CHECK(Utf8CutTail(all.substr(0, begin + cut)) == cut);
    }
    begin += length;
  }
  CHECK(Utf8CutTail(all) == 0);
  CHECK(Utf8CutTail("") == 0);
  for (std::string_view text : {"\x80", "\xC0", "\xE0\x80", "\xED\xA0", "\xF0\x80", "\xF4\x90",
                                "\xF5", "\xFF", "\xE2\x96(", "\xC3\xA9\xA9"}) {
    CAPTURE(std::string(text));
    CHECK(Utf8CutTail(text) == 0);
  }
}

TEST_CASE("UTF-8: what is no character is repaired, all else kept") {
  CHECK(Utf8Repaired("aé🦙") == "aé🦙");
  CHECK(Utf8Repaired("") == "");
  CHECK(Utf8Repaired("\xFFz\xE2\x96") == "\uFFFDz\uFFFD\uFFFD");
}

}  // namespace
}  // namespace crossover::tokenizer

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

}  // namespace
}  // namespace crossover::tokenizer

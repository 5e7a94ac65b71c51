#include "tokenizer/byte_level.h"

#include <set>
#include <string>

#include "tests/support/test_support.h"

namespace crossover::tokenizer {
namespace {

TEST_CASE("byte-level alphabet: known characters") {
  CHECK(ByteLevelText('A') == "A");
  CHECK(ByteLevelText(' ') == "Ġ");
  CHECK(ByteLevelText('\n') == "Ċ");
  CHECK(ByteLevelText(0x00) == "Ā");
  CHECK(ByteLevelText(0x7F) == "ġ");
  CHECK(ByteLevelText(0xAD) == "Ń");
  CHECK(ByteLevelText(0xE9) == "é");
}

TEST_CASE("byte-level alphabet: one character a byte, and back") {
  std::set<std::string> seen;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = ByteLevelText(static_cast<uint8_t>(byte));
    CHECK(seen.insert(text).second);
    std::string bytes;
    REQUIRE(AppendByteLevelBytes(text, bytes));
    CHECK(bytes == std::string(1, static_cast<char>(byte)));
  }
}

TEST_CASE("byte-level alphabet: what is outside is refused and leaves no trace") {
  for (std::string text : {"a b", "▁a", "é\xC3", "\x80", "\xC5\x84", "\xC2\xA0", "Ġ\xFF"}) {
    std::string bytes = "kept";
    CHECK_FALSE(AppendByteLevelBytes(text, bytes));
    CHECK(bytes == "kept");
  }
}

}  // namespace
}  // namespace crossover::tokenizer

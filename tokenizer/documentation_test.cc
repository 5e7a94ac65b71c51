// The documentation names what the code knows.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/output_file.h"
#include "tests/support/test_support.h"
#include "tokenizer/pre_tokenizer.h"

namespace crossover::tokenizer {
namespace {

TEST_CASE("docs/formats.md names every pre-tokenizer, family by family, and no other") {
  const std::string docs = ReadFile(test::SourceRoot() / "docs/formats.md");
  const std::string heading = "## Pre-tokenizers\n";
  const size_t begin = docs.find(heading);
  REQUIRE(begin != std::string::npos);
  const size_t end = docs.find("\n## ", begin);
  const std::string section = docs.substr(begin, end - begin);
  size_t named = 0;
  for (const PreTokenizerFamily& family : PreTokenizerFamilies()) {
    std::string row = "\n|";
    for (const std::string_view name : family.names) {
      if (name.empty()) continue;  // a file that says nothing
      row += fmt::format("{}`{}`", row == "\n|" ? " " : ", ", name);
      ++named;
    }
    INFO(row);
    CHECK(test::Contains(section, row + " |"));
  }
  size_t written = 0;
  for (size_t at = section.find("\n| `"); at != std::string::npos;
       at = section.find("\n| `", at + 1)) {
    const size_t cell_end = section.find('|', at + 2);
    const std::string cell = section.substr(at, cell_end - at);
    written += static_cast<size_t>(std::count(cell.begin(), cell.end(), '`')) / 2;
  }
  CHECK(written == named);
}

}  // namespace
}  // namespace crossover::tokenizer

#include "evals/wikitext.h"

#include "base/fingerprint.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("wikitext: pages begin at titles of the first level") {
  const auto pages =
      WikitextPages(" \n = One = \n \n Text . \n = = Part = = \n\n = Two = \n Text . \n");
  REQUIRE(pages.size() == 2);
  CHECK(pages[0].first == 2);
  CHECK(pages[0].second == " = One = \n \n Text . \n = = Part = = \n");
  CHECK(pages[1].second == " = Two = \n Text . \n");
  CHECK(WikitextPages("\n \n").empty());
}

TEST_CASE("wikitext: spelling") {
  CHECK(DetokenizeWikitext("a well @-@ known 1 @,@ 000 at 1 @.@ 5 , or so .") ==
        "a well-known 1,000 at 1.5, or so .");
  CHECK(DetokenizeWikitext("He ( the \" old \" one ) said : \" no \" . \n It 's") ==
        "He (the \"old\" one) said: \"no\".\nIt's");
  CHECK(DetokenizeWikitext(" = = Part = = \n") == " == Part ==\n");
  CHECK(DetokenizeWikitext("( a [ b ] (\xC2\xA0"
                           "c ) d ( e") ==
        "(a [b] (\xC2\xA0"
        "c) d ( e");
  CHECK(DetokenizeWikitext("the boys ' ball") == "the boys' ball");
}

TEST_CASE("wikitext: words are split at white space of any kind") {
  CHECK(CountWords("") == 1);
  CHECK(CountWords("one") == 1);
  CHECK(CountWords(" one  two\n") == 4);
  CHECK(CountWords("a\xC2\xA0"
                   "b\xE3\x80\x80\xE2\x80\x89"
                   "c\xC2\xA9") == 3);
}

// By Python with the harness's own expressions over the file: pages, words, bytes, and the FNV-1a
// of all pages as ordinary text, with zero bytes between them.
TEST_CASE("wikitext: the whole test set") {
  const auto file = test::SharedFile("data/evals/wikitext2/wiki.test.raw");
  if (!file) {
    test::Skip("no WikiText-2 here");
    return;
  }
  const std::string text = ReadFile(*file);
  const auto pages = WikitextPages(text);
  CHECK(pages.size() == 62);
  size_t words = 0;
  size_t bytes = 0;
  std::string all;
  for (const auto& [begin, page] : pages) {
    words += CountWords(page);
    bytes += page.size();
    if (!all.empty()) all += '\0';
    all += DetokenizeWikitext(std::string(page));
  }
  CHECK(words == 241335);
  CHECK(bytes == 1290527);
  CHECK(Fingerprint(all) == "62f6e7000e9833c5");
}

}  // namespace
}  // namespace crossover::evals

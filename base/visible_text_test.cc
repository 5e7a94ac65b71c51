#include "base/visible_text.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/table.h"

namespace crossover {
namespace {

using namespace std::string_literals;

TEST_CASE("what a terminal would obey is escaped") {
  CHECK(VisibleText("\x1b[2Jx\x7f\r\n\t\b"s + '\0') == "\\x1b[2Jx\\x7f\\x0d\\x0a\\x09\\x08\\x00");
  CHECK(VisibleText("\u009b2J\u0080\u009f") == "\\u009b2J\\u0080\\u009f");  // C1: CSI in one
  CHECK(VisibleText("\x9b"
                    "2J") == "\\x9b2J");  // the same as one byte, which is no UTF-8
  CHECK(VisibleText("a\u202eb\u2066c\u200fd") == "a\\u202eb\\u2066c\\u200fd");
  CHECK(VisibleText("a\u200bb\ufeffc\u2028d\u2029") == "a\\u200bb\\ufeffc\\u2028d\\u2029");
  CHECK(VisibleText("\U000e0041") == "\\U000e0041");
  CHECK(VisibleText("\xc3(\xe2\x82\xff\xf8") == "\\xc3(\\xe2\\x82\\xff\\xf8");
  CHECK(VisibleText("\xed\xa0\x80\xc0\xaf") == "\\xed\\xa0\\x80\\xc0\\xaf");  // surrogate, overlong
}

TEST_CASE("what a reader can see stays") {
  const std::string text = "Qwen2.5 „größer“ 模型 ─ 👩\u200d🔬 a\u0301 C:\\x \\x1b ~ [2J";
  CHECK(VisibleText(text) == text);
  CHECK(VisibleText(VisibleText("\x1b\u202e\xff")) == VisibleText("\x1b\u202e\xff"));
  CHECK(VisibleLines("a\n\tb\x1b\r\n") == "a\n\tb\\x1b\\x0d\n");
}

TEST_CASE("quotes hold a whole number of characters") {
  CHECK(QuotedText("a\nb") == "'a\\x0ab'");
  CHECK(QuotedText("ääää", 5) == "'ää…'");
  CHECK(QuotedText("äää", 6) == "'äää'");
}

TEST_CASE("columns of a terminal") {
  CHECK(DisplayWidth("abc ─…") == 6);
  CHECK(DisplayWidth("模型") == 4);
  CHECK(DisplayWidth("a\u0301") == 1);
  CHECK(DisplayWidth("") == 0);
}

TEST_CASE("errors and tables show names this way") {
  CHECK(std::string(Error(ErrorCode::kIo, "x\x1b\u009b\u202e\xff\ny").what()) ==
        "x\\x1b\\u009b\\u202e\\xff\\x0ay");
  Table table({{"name\x1b", Table::Align::kLeft}, {"模", Table::Align::kRight}});
  table.AddRow({"a\nb\x1b[2J\u202e", "1"});
  table.AddRow({"模型", "22"});
  const std::string text = table.Text();
  CHECK(text ==
        "name\\x1b             模\n"
        "───────────────────  ──\n"
        "a\\x0ab\\x1b[2J\\u202e   1\n"
        "模型                 22\n");
  CHECK(table.Markdown() ==
        "| name\\x1b | 模 |\n|:--|--:|\n| a\\x0ab\\x1b&#91;2J\\u202e | 1 |\n| 模型 | 22 |\n");
}

}  // namespace
}  // namespace crossover

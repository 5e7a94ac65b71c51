#include "bench/text.h"

#include <limits>

#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

TEST_CASE("three digits at every size, also where rounding adds one") {
  CHECK(Significant(8340.4) == "8340");
  CHECK(Significant(99.96) == "100");
  CHECK(Significant(61.23) == "61.2");
  CHECK(Significant(9.996) == "10.0");
  CHECK(Significant(6.125) == "6.12");
  CHECK(Significant(0.9996) == "1.00");
  CHECK(Significant(0.0614) == "0.061");
  CHECK(Significant(0) == "0");
  CHECK(Significant(std::numeric_limits<double>::quiet_NaN()) == "n/a");
}

TEST_CASE("bytes and shares") {
  CHECK(Megabytes(5906752) == "5.91");
  CHECK(Megabytes(128'400'000) == "128");
  CHECK(Percent(0.614) == "61 %");
  CHECK(Percent(0.0614) == "6.1 %");
  CHECK(Percent(1.2) == "120 %");
}

TEST_CASE("markup and separators are escaped") {
  CHECK(EscapeHtml("a<b & \"c\">") == "a&lt;b &amp; &quot;c&quot;&gt;");
  CHECK(CsvField("plain") == "plain");
  CHECK(CsvField("a,\"b\"\n") == "\"a,\"\"b\"\"\n\"");
  CHECK(EscapeHtml("it's") == "it&#39;s");
}

TEST_CASE("what a spreadsheet would take for a formula is none in CSV, and numbers stay numbers") {
  for (const char* formula : {"=1+1", "+a", "-a", "@a", "\ta"}) {
    CHECK(CsvField(formula) == std::string("'") + formula);
  }
  CHECK(CsvField("=a,b") == "\"'=a,b\"");
  for (const char* number : {"-1.5", "+2", "-1e-7", "-inf"}) CHECK(CsvField(number) == number);
  CHECK(CsvField("a=b") == "a=b");
}

}  // namespace
}  // namespace crossover::bench

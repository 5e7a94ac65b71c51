#include "evals/data_file.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using Layout = DataFormat::Layout;
using test::Contains;

std::string Failure(std::string_view text, const DataFormat& format) {
  try {
    ParseRecords(text, format, "data");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "accepted";
}

TEST_CASE("brackets without end and keys without number are taken in stride") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const DataFormat lines{DataFormat::Layout::kJsonLines};
  const DataFormat array{DataFormat::Layout::kJsonArray};
  CHECK(Contains(Failure("{\"a\":1}\n{\"a\":" + deep + "}", lines), "data:2: brackets are nested"));
  CHECK(Contains(Failure("[{\"a\":1},\n{\"a\":" + deep + "}]", array),
                 "data:2: brackets are nested"));
  // As in Python: the last value in the first place.
  const auto records = ParseRecords(R"({"b":1,"a":2,"b":3})", lines, "data");
  CHECK(records[0].fields.dump() == R"({"b":3,"a":2})");
  // A look at all keys before each would take minutes.
  std::string many = "{\"k\":0";
  for (int i = 0; i < 100'000; ++i) many += fmt::format(",\"k{}\":{}", i, i);
  CHECK(ParseRecords(many + "}", lines, "data")[0].fields.size() == 100'001);
}

TEST_CASE("data file: JSON lines") {
  const auto records = ParseRecords("\xEF\xBB\xBF{\"a\":1}\r\n\n{\"a\":\"ä\"}", {}, "data");
  REQUIRE(records.size() == 2);
  CHECK(records[0].fields["a"] == 1);
  CHECK(records[1].fields["a"] == "ä");
  CHECK(records[1].line == 3);
}

TEST_CASE("data file: an array knows the line of each object") {
  const auto records = ParseRecords(
      "[\n  {\"t\": \"a, ] \\\" }\",\n   \"u\": [1, {\"v\": 2}]},\n\n  {\"t\": \"b\"}\n]\n",
      {.layout = Layout::kJsonArray}, "data");
  REQUIRE(records.size() == 2);
  CHECK(records[0].fields["t"] == "a, ] \" }");
  CHECK(records[0].line == 2);
  CHECK(records[1].line == 5);
}

TEST_CASE("data file: CSV with quotes, commas and line ends inside") {
  const auto records = ParseRecords("\"a, \"\"b\"\"\nc\",1\r\nd\"e,\n",
                                    {.layout = Layout::kCsv, .columns = {"x", "y"}}, "data");
  REQUIRE(records.size() == 2);
  CHECK(records[0].fields["x"] == "a, \"b\"\nc");
  CHECK(records[0].fields["y"] == "1");
  CHECK(records[1].fields["x"] == "d\"e");
  CHECK(records[1].fields["y"] == "");
  CHECK(records[1].line == 3);
}

TEST_CASE("data file: some lines an item") {
  const auto records =
      ParseRecords("q1\n0\nq2\n1", {.layout = Layout::kLines, .columns = {"q", "a"}}, "data");
  REQUIRE(records.size() == 2);
  CHECK(records[1].fields["q"] == "q2");
  CHECK(records[1].fields["a"] == "1");
  CHECK(records[1].line == 3);
}

TEST_CASE("data file: what is off is said with its line") {
  const DataFormat lines{};
  const DataFormat array{.layout = Layout::kJsonArray};
  const DataFormat csv{.layout = Layout::kCsv, .columns = {"x", "y"}};
  CHECK(Failure("", lines) == "data:1: no items in the file; expected at least one");
  CHECK(Failure("{\"a\":1}\n{\"a\":", lines).starts_with("data:2: not JSON"));
  CHECK(Failure("{\"a\":1}\n[1]", lines) == "data:2: expected a JSON object of fields");
  CHECK(Failure("{\"a\":1}\n\xff\xfe{", lines).starts_with("data:2: not JSON"));
  CHECK(Failure("{\"a\":1}\n{\"a\":1e999}", lines).starts_with("data:2: not JSON"));
  CHECK(Failure("a,b\nc\n", csv) == "data:2: 1 fields; expected 2: x,y");
  CHECK(Failure("a,b\n\"c,d\ne,f\n", csv).starts_with("data:2: a quoted field has no end"));
  CHECK(Failure("{\"a\":1}", array).starts_with("data:1: expected \"[\""));
  CHECK(Failure("[{\"a\":1},\n{\"a\":", array).starts_with("data:2: the array is cut short"));
  CHECK(Failure("[{\"a\":1},\n\n{\"a\"\n;1}]", array).starts_with("data:4: not JSON"));
  CHECK(Failure("[{\"a\":1}]\nx", array).starts_with("data:2: expected nothing after"));
  CHECK(Failure("[]", array) == "data:1: no items in the file; expected at least one");
  CHECK(Failure("q1\n0\nq2\n", {.layout = Layout::kLines, .columns = {"q", "a"}}) ==
        "data:3: the last item has 1 lines; expected 2: q, a");
  CHECK(Failure(std::string_view("PK\0\1", 4), lines).starts_with("data:1: a zero byte"));
}

TEST_CASE("data file: the file of labels beside must have a line for each item") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "items.jsonl", "{\"q\":\"a\"}\n{\"q\":\"b\"}\n");
  const DataFormat format{.beside = {{"label", "labels.lst"}}};
  WriteFile(directory / "labels.lst", "1\n0\n");
  const auto records = ReadRecords(directory.path(), "items.jsonl", format);
  CHECK(records[0].fields["label"] == "1");
  CHECK(records[1].fields["label"] == "0");
  WriteFile(directory / "labels.lst", "1\n");
  CHECK_THROWS_WITH_AS(ReadRecords(directory.path(), "items.jsonl", format),
                       doctest::Contains("1 lines; expected 2"), Error);
}

TEST_CASE("data file: .gz, also of several members, and damaged ones") {
  const auto ask = [](std::string_view bytes) {
    const test::TemporaryDirectory directory;
    WriteFile(directory / "items.jsonl.gz", bytes);
    try {
      return fmt::to_string(ReadRecords(directory.path(), "items.jsonl.gz", {}).size());
    } catch (const Error& error) {
      const std::string what = error.what();
      return what.substr(what.find(".gz") + 3);
    }
  };
  // printf '{"a":1}\n' | gzip -n
  const std::string packed(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x4a\x54\xb2\x32\xac\xe5\x02\x00\x46\xa3\xe8"
      "\x74\x08\x00\x00\x00",
      28);
  CHECK(ask(packed) == "1");
  CHECK(ask(packed + packed) == "2");
  CHECK(ask(packed.substr(0, 20)) == ": the gzip file is cut short; fetch the file again");
  CHECK(ask("{\"a\":1}\n") == ": not a sound gzip file; fetch the file again");
  CHECK(ask(packed + "x").starts_with(": "));
  CHECK(ask("") == ": the gzip file is cut short; fetch the file again");
}

TEST_CASE("data file: fifty bytes that would unpack to four million") {
  const test::TemporaryDirectory directory;
  // head -c 4000000 /dev/zero | tr '\\0' a | bzip2
  WriteFile(directory / "items.jsonl.bz2",
            std::string_view("\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x21\x65\x81\xbf\x00\x1e\xa5"
                             "\x05\x00\x90\x00\x20\x00\x00\x08\x20\x00\x30\xcc\x05\x29\xa7\x19\x42"
                             "\x4a\xb6\x14\x24\xab\xc5\xdc\x91\x4e\x14\x24\x08\x59\x60\x6f\xc0",
                             50));
  try {
    (void)ReadRecords(directory.path(), "items.jsonl.bz2", {});
    FAIL("unpacked");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported) return test::Skip("built without libbz2");
    CHECK(Contains(error.what(), "unpacks to more than 1050176 bytes"));
  }
}

TEST_CASE("data file: a text that is no WikiText") {
  const DataFormat wikitext{.layout = Layout::kWikitext};
  CHECK(Failure("Just a text.\n", wikitext).starts_with("data:1: expected WikiText's raw form"));
  CHECK(Failure(" \n\n", wikitext) == "data:1: no items in the file; expected at least one");
  const auto records = ParseRecords(" \n = A = \n x \n = B = \n y \n", wikitext, "data");
  REQUIRE(records.size() == 2);
  CHECK(records[1].line == 4);
  CHECK(records[1].fields["page"] == " = B = \n y \n");
}

TEST_CASE("data file: a damaged .bz2") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "items.jsonl.bz2", "BZh9 is how it begins");
  CHECK_THROWS_WITH_AS(ReadRecords(directory.path(), "items.jsonl.bz2", {}),
                       doctest::Contains("bz"), Error);
}

}  // namespace
}  // namespace crossover::evals

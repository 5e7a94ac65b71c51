#include "base/json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using test::Contains;

const JsonSource kSource{.name = "dir/some.json"};

template <class F>
std::string RefusalOf(const F& parse) {
  try {
    parse();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCorruptFile);
    return error.what();
  }
  return "";
}

std::string Refusal(std::string_view text) {
  const std::string plain = RefusalOf([&] { ParseJson(text, kSource); });
  CHECK(plain == RefusalOf([&] { ParseOrderedJson(text, kSource); }));
  return plain;
}

std::string Nested(size_t depth, std::string_view open, std::string_view close) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += open;
  text += "1";
  for (size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST_CASE("values come out as the library reads them") {
  const std::string text =
      R"( {"a": [1, -2, 3.5, true, null, "ü\n"], "b": {"c": {}}, "d": 18446744073709551615, "": []} )";
  CHECK(ParseJson(text, kSource) == json::parse(text));
  CHECK(ParseOrderedJson(text, kSource) == ordered_json::parse(text));
  CHECK(ParseJson("7", kSource) == 7);
  CHECK(ParseOrderedJson(R"({"z":1,"a":2})", kSource).dump() == R"({"z":1,"a":2})");
}

TEST_CASE("depth is bounded while parsing, whatever the brackets") {
  CHECK(Refusal(Nested(kMostJsonDepth, "[", "]")).empty());
  for (const auto& brackets : {std::pair{"[", "]"}, {"{\"k\":", "}"}, {"[{\"k\":", "}]"}}) {
    const char* const open = brackets.first;  // a copy: clang 14 captures no structured binding
    const char* const close = brackets.second;
    CAPTURE(open);
    CHECK(Contains(Refusal(Nested(kMostJsonDepth + 1, open, close)), "nested deeper than 100"));
    CHECK(Contains(Refusal(Nested(200'000, open, close)), "nested deeper than 100"));
    CHECK(Contains(Refusal("{\"model\":{\"x\":" + Nested(200'000, open, close)), "in model.x"));
  }
  // Refused where the brackets stand, not after the whole text was read.
  CHECK(Contains(Refusal(std::string(1000, '[')), "nested deeper"));
}

TEST_CASE("an error names file, line, key and byte") {
  CHECK(Refusal("{\"a\":\n [1,\n x]}") ==
        "dir/some.json:3: not JSON in a[1] (byte 13 of 15); fetch the file again");
  CHECK(Refusal("") == "dir/some.json:1: not JSON (byte 1 of 0); fetch the file again");
  CHECK(Contains(Refusal("{\"a\":1e999}"), "a number is out of range in a"));
  CHECK(Contains(Refusal("{\"a\":\"\xff\"}"), "not JSON in a"));
  CHECK(Contains(Refusal("{} {}"), "not JSON"));
  const auto second = [] {
    ParseJson("{", {.name = "j", .code = ErrorCode::kCorruptFile, .remedy = "", .line = 7});
  };
  CHECK(RefusalOf(second) == "j:7: not JSON (byte 2 of 1)");
  // A key does not get at the terminal.
  CHECK(Contains(Refusal("{\"\\u001b[2J\":{\"x\":["), "in \\x1b[2J.x[0]"));
}

TEST_CASE("a key that stands twice") {
  const std::string text = R"({"x":{"b":1,"a":2,"b":3}})";
  CHECK(Refusal(text) == "dir/some.json: the key 'b' stands twice in x; fetch the file again");
  const auto last = ParseOrderedJson(text, kSource, RepeatedKeys::kLastWins);
  CHECK(last.dump() == R"({"x":{"b":3,"a":2}})");
  // The same key in two objects is none.
  CHECK(Refusal(R"([{"b":1},{"b":{"b":2}}])").empty());
}

TEST_CASE("members go to the caller one by one") {
  std::vector<std::pair<std::string, json>> seen;
  const auto take = [&](const std::string& key, json value) { seen.emplace_back(key, value); };
  ForEachJsonMember(R"({"a":{"x":[1,{"y":2}]},"b":3,"a":[],"c":{}})", kSource, take);
  REQUIRE(seen.size() == 4);
  CHECK(seen[0] == std::pair<std::string, json>{"a", {{"x", {1, {{"y", 2}}}}}});
  CHECK(seen[1] == std::pair<std::string, json>{"b", 3});
  CHECK(seen[2].second == json::array());
  CHECK(seen[3].second == json::object());
  for (const char* other : {"[1]", "7", "null", "\"a\""}) {
    CHECK(Contains(RefusalOf([&] { ForEachJsonMember(other, kSource, take); }), "no JSON object"));
  }
  CHECK(Contains(RefusalOf([&] { ForEachJsonMember("{\"a\":1", kSource, take); }), "not JSON"));
}

TEST_CASE("writing never fails for what a value holds") {
  const json value = {
      {"name", "od\xff"}, {"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}};
  const json back = ParseJson(DumpJson(value), kSource);
  CHECK(back["name"] == "od\uFFFD");
  CHECK(back["nan"].is_null());
  CHECK(back["inf"].is_null());
  CHECK(DumpJson(ordered_json{{"b", "\xc3"}, {"a", 1}}) == "{\"b\":\"\uFFFD\",\"a\":1}");
}

TEST_CASE("JSON on a terminal is text") {
  const json value = {{"k\u009b", "a\u202eb\x7f\x1b\u00e9\U0001f600\U000e0041"}};
  const std::string text = DumpJson(value);
  CHECK(text == "{\"k\\u009b\":\"a\\u202eb\\u007f\\u001b\u00e9\U0001f600\\udb40\\udc41\"}");
  CHECK(ParseJson(text, kSource) == value);
}

TEST_CASE("a path of any bytes comes back from text") {
  for (const std::string path : {"/a/b.gguf", "od\xff\xc3.gguf", "a\\b", "a\\x41", "\\\\x41\\",
                                 "ü\n\x1b", "\xff\\xff", ""}) {
    CAPTURE(path);
    const std::string text = PathText(path);
    CHECK(PathOfText(ParseJson(json(text).dump(), kSource).get<std::string>()) == path);
  }
  CHECK(PathText("od\xff") == "od\\xff");
  CHECK(PathText("ü/b") == "ü/b");
}

// What guards one door is worth nothing beside another one that is open.
TEST_CASE("no product code reads or writes JSON past base/json") {
  size_t files = 0;
  for (const char* folder :
       {"base", "quant", "kernels", "tokenizer", "engine", "evals", "bench", "tools"}) {
    const auto root = test::SourceRoot() / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string name = entry.path().filename().string();
      const bool source = name.ends_with(".cc") || name.ends_with(".h");
      if (!source || name.ends_with("_test.cc") || name == "json.cc" || name.starts_with("test_")) {
        continue;
      }
      ++files;
      const std::string text = ReadFile(entry.path());
      CAPTURE(entry.path().string());
      for (const char* door : {"json::parse(", "Json::parse(", "Record::parse(", ".dump(",
                               "json::accept(", "sax_parse("}) {
        CAPTURE(door);
        CHECK(text.find(door) == std::string::npos);
      }
    }
  }
  CHECK(files > 300);
}

}  // namespace
}  // namespace crossover

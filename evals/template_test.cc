#include "evals/template.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "evals/text_filter.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using Texts = std::vector<std::string>;

std::string Failure(std::string_view text, const Record& record = Record::object()) {
  try {
    (void)Template::Parse(text).Render(record);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

const Record kItem = Record::parse(
    R"({"q": {"stem": " Why? ", "options": [{"t": "a"}, {"t": "b"}]}, "n": 3, "yes": true,
        "scores": {"z first": 1, "a second": 0}})");

TEST_CASE("template: fields, paths, filters and braces") {
  CHECK(Template::Parse("{{{q.stem|strip}}} {n} {yes} {q.options.1.t}").Render(kItem) ==
        "{Why?} 3 true b");
  CHECK(Template::Parse("").Render(kItem).empty());
}

TEST_CASE("template: what is off is named") {
  CHECK(Failure("{q.nothing}", kItem) == "expected a field \"q.nothing\"");
  CHECK(Failure("{q.options.2.t}", kItem) == "expected a field \"q.options.2.t\"");
  CHECK(Failure("{q}", kItem) == "expected a text or number in the field \"q\", found object");
  CHECK(Failure("{q.stem|before:_}", kItem) ==
        "expected \"_\" in the text of the field \"q.stem\"");
  CHECK(Failure("{q").starts_with("a \"{\" without"));
  CHECK(Failure("q}").starts_with("a \"}\" without"));
  CHECK(Failure("{}") == "\"{}\" names no field");
  CHECK(Failure("{n|shout}").starts_with("no filter \"shout\"; there are: before:X"));
}

TEST_CASE("template: small files do not become gigabytes") {
  std::string many;
  for (size_t i = 0; i < 200; ++i) many += "{a}";
  std::string filters = "{a";
  for (size_t i = 0; i < 200; ++i) filters += "|strip";
  const Record record = {{"a", std::string(1'000'000, 'x')}};
  CHECK(Failure(many, record).starts_with("more than 67108864 bytes of text are made from"));
  CHECK(Failure(filters + "}", record).starts_with("more than 67108864 bytes of text are made"));
  Record list = {{"l", Record::array()}};
  for (size_t i = 0; i < 10'000; ++i) list["l"].push_back(1);
  const std::string long_text(30'000, 'x');
  const Record each = {{"each", "l"}, {"text", long_text}};
  CHECK_THROWS_AS(TemplateList::Parse(each).Render(list), Error);
  CHECK(Failure(std::string(40'000, 'x')) == "a template of 40000 bytes; the most is 32768");
  CHECK(Failure(many + many, record).starts_with("more than 256 fields and filters"));
  CHECK(Template::Parse(long_text).Render(record) == long_text);
}

TEST_CASE("template list: one by one, or for each element in the file's order") {
  const auto list = [](const char* json) {
    return TemplateList::Parse(Record::parse(json)).Render(kItem);
  };
  CHECK(list(R"(["{n}", "x"])") == Texts{"3", "x"});
  CHECK(list(R"({"each": "q.options", "text": "{key}={t}"})") == Texts{"0=a", "1=b"});
  CHECK(list(R"({"each": "scores", "text": "{key}"})") == Texts{"z first", "a second"});
  CHECK(list(R"({"each": "scores", "text": "{value}"})") == Texts{"1", "0"});
  CHECK_THROWS_AS(list(R"({"each": "n", "text": "{value}"})"), Error);
  CHECK_THROWS_AS(list(R"({"each": "q.options"})"), Error);
  CHECK_THROWS_AS(list("[]"), Error);
}

TEST_CASE("text filter: capitals") {
  CHECK(ApplyFilter("capitalize", "the Lady X") == "The lady x");
  CHECK(ApplyFilter("fragment", "On a roof. he") == "On a roof. He");
  CHECK(ApplyFilter("fragment", "A \"Logo\" appears. \" the Man") ==
        "A \"Logo\" appears. \" the man");
  CHECK(ApplyFilter("fragment", "It is done. All of It.") == "It is done. All of It.");
  CHECK(ApplyFilter("fragment", "She said \"Done.\" ") == "She said \"Done.\" ");
  CHECK(ApplyFilter("fragment", "no end at All") == "no end at All");
}

TEST_CASE("text filter: HellaSwag's clean-up") {
  CHECK(ApplyFilter("wikihow", " Bake [title] Mix [step] it  now [substeps] . ") ==
        "Bake. Mix it now .");
  CHECK(ApplyFilter("wikihow", "a [b\nc] d") == "a [b\nc] d");
  CHECK(ApplyFilter("wikihow", "a   b") == "a  b");
  CHECK(ApplyFilter("wikihow", "[a [b\nc [d [e] f] [") == "[a [b\nc f] [");
  // Looking for its end again from each bracket would take minutes.
  const std::string brackets(1'000'000, '[');
  CHECK(ApplyFilter("wikihow", brackets) == brackets);
}

TEST_CASE("text filter: words and marks") {
  CHECK(ApplyFilter("first_words", "a b  c") == "a b ");
  CHECK(ApplyFilter("last_word", "a b  c") == "c");
  CHECK(ApplyFilter("last_word", "alone") == "alone");
  CHECK(ApplyFilter("first_words", "alone").empty());
  CHECK(ApplyFilter("spaces", "high_school_physics") == "high school physics");
  CHECK(ApplyFilter("before:_", "so _ won _") == "so ");
  CHECK(ApplyFilter("after:_", "so _ won _") == " won _");
}

}  // namespace
}  // namespace crossover::evals

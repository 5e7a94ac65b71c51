#include "tokenizer/chat_template.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::tokenizer {
namespace {

using nlohmann::json;

std::tm GoldenTime() {
  std::tm time{};
  time.tm_year = 124;
  time.tm_mon = 6;
  time.tm_mday = 26;
  time.tm_hour = 9;
  time.tm_min = 5;
  time.tm_sec = 3;
  std::mktime(&time);  // the day of the week
  return time;
}

std::string RenderGolden(const ChatTemplate& chat, const json& conversations, const json& golden,
                         const json& item) {
  std::vector<ChatMessage> messages;
  for (const json& message : conversations.at(golden.at("conversation").get<size_t>())) {
    messages.push_back({message.at("role"), message.at("content")});
  }
  ChatTemplateOptions options{.bos = item.at("bos"),
                              .eos = item.at("eos"),
                              .add_generation_prompt = golden.at("prompt"),
                              .now = GoldenTime()};
  if (golden.contains("thinking")) options.enable_thinking = golden.at("thinking").get<bool>();
  return chat.Render(messages, options);
}

void CheckGoldens(const std::string& source, const json& conversations, const json& item) {
  const ChatTemplate chat(source);
  for (const json& golden : item.at("goldens")) {
    CAPTURE(golden.dump());
    if (golden.contains("text")) {
      CHECK(RenderGolden(chat, conversations, golden, item) == golden.at("text"));
    } else {
      CHECK_THROWS_AS(RenderGolden(chat, conversations, golden, item), Error);
    }
  }
}

const json& Goldens() {
  static const json goldens =
      json::parse(ReadFile(test::SourceRoot() / "tests/data/chat_goldens.json"));
  return goldens;
}

TEST_CASE("snippets render as Jinja renders them") {
  size_t snippets = 0;
  for (const json& item : Goldens().at("templates")) {
    if (!item.contains("source")) continue;
    CAPTURE(item.at("name").get<std::string>());
    CheckGoldens(item.at("source"), Goldens().at("conversations"), item);
    ++snippets;
  }
  CHECK(snippets > 30);
}

TEST_CASE("templates of published models render as Jinja renders them") {
  for (const json& item : Goldens().at("templates")) {
    if (!item.contains("file")) continue;
    const auto file = test::SharedFile(item.at("file"));
    if (!file) {
      test::Skip(item.at("file").get<std::string>() + " is not there");
      return;
    }
    CAPTURE(item.at("name").get<std::string>());
    const json config = json::parse(ReadFile(*file));
    CheckGoldens(config.at("chat_template"), Goldens().at("conversations"), item);
  }
}

std::string Message(const std::string& source) {
  const std::vector<ChatMessage> messages{{"user", "Hello"}};
  try {
    ChatTemplate(source).Render(messages, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_CASE("what is wrong with a template is said with its line") {
  const std::pair<const char*, const char*> cases[] = {
      {"\n{% if true %}", "line 2: 'endif' is missing"},
      {"{{ 1", "line 1: '}}' is missing"},
      {"{# note", "line 1: a comment is not closed"},
      {"{{ 'a }}", "line 1: a text is not closed"},
      {"\n\n{% include 'x' %}", "line 3: the tag 'include' is not supported"},
      {"{% break %}", "line 1: 'break' outside a loop"},
      {"{{ 1 + }}", "line 1: an expression was expected"},
      {"{{ 1 < 2 < 3 }}", "chained comparisons"},
      {"\n{{ 'a' | no_such }}", "line 2: the filter 'no_such' is not supported"},
      {"{{ 'a' is no_such }}", "the test 'no_such' is not supported"},
      {"{{ 'a'.no_such() }}", "'no_such' is undefined 'no_such'"},
      {"{{ messages }}", "a list cannot be printed"},
      {"{{ raise_exception('not this') }}", "refuses: not this"},
      {"{{ 9223372036854775807 + 1 }}", "out of range"},
      {"{{ 99999999999999999999 }}", "out of range"},
      {"{{ 1 % 0 }}", "division by zero"},
      {"{{ @ }}", "no meaning"},
  };
  for (const auto& [source, expected] : cases) {
    const std::string message = Message(source);
    INFO(source << " gave: " << message);
    CHECK(message.starts_with("chat template, line "));
    CHECK(message.find(expected) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("hostile templates end with an error: no hang, no flood, no overflow of the stack") {
  const auto repeat = [](const std::string& text, size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += text;
    return out;
  };
  const std::vector<std::string> sources{
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% set x = 'aaaaaaaa' %}" + repeat("{% set x = x + x %}", 60),
      "{% set x = [1] %}" + repeat("{% set x = [x, x] %}", 60) + "{{ x == x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor "
      "%}",
      "{% set ns = namespace() %}{% set ns.x = ns %}",
      "{% set ns = namespace() %}{% set ns.x = [ns] %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{{ range(999999999) }}",
      "{% set x = 'a' | indent(64, true) %}" + repeat("{% set x = x.replace(' ', x) %}", 9),
      "{{ " + repeat("(", 100000) + " }}",
      "{{ " + repeat("[", 100000) + " }}",
      "{{ " + repeat("not ", 100000) + "1 }}",
      "{{ " + repeat("-", 99999) + " 1 }}",
      "{{ 1" + repeat(" + 1", 100000) + " }}",
      "{{ a" + repeat(".a", 100000) + " }}",
      "{{ 1" + repeat(" if 1 else 1", 100000) + " }}",
      repeat("{% if 1 %}", 100000),
      repeat("{% for i in range(9) %}", 60) + repeat("{% endfor %}", 60),
      std::string(size_t{2} << 20, 'a'),
  };
  for (const std::string& source : sources) {
    const std::string message = Message(source);
    INFO(source.substr(0, 80) << " gave: " << message.substr(0, 200));
    CHECK(message.find("chat template") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 300);
  }
}

}  // namespace
}  // namespace crossover::tokenizer

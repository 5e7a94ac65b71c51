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
      {"{{ 'a'.no_such() }}", "'no_such' is no method of text that is supported"},
      {"{{ [].append(1) }}", "'append' is no method of a list that is supported"},
      {"{{ no_such() }}", "no_such: a function that is supported is needed, not undefined"},
      {"{{ {'items': 1}.items }}", "'items' of a dictionary is a method"},
      {"{% for x in [1] %}{{ loop.changed(x) }}{% endfor %}", "'loop.changed' is not supported"},
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

TEST_CASE("an argument that is not known, missing, given twice or too many is refused by name") {
  const std::pair<const char*, const char*> cases[] = {
      {"{{ ','.join() }}", "join: the argument 'iterable' is missing"},
      {"{{ 1 | tojson(default=1) }}", "tojson: the argument 'default' is not supported"},
      {"{{ 1 | tojson(separators=',') }}", "tojson: the argument 'separators' must be two texts"},
      {"{{ 1 | tojson(true, ensure_ascii=true) }}", "'ensure_ascii' is given twice"},
      {"{{ 1 | tojson(1, 2, 3, 4, 5) }}", "tojson: 5 arguments are given"},
      {"{{ 'a' | upper(1) }}", "upper: 1 arguments are given"},
      {"{{ 'a' | trim(characters='x') }}", "trim: the argument 'characters'"},
      {"{{ 'a' | trim(chars=1) }}", "trim: the argument 'chars' must be text, not a number"},
      {"{{ 'a' | replace('a') }}", "replace: the argument 'new' is missing"},
      {"{{ 'a' | default(true=1) }}", "default: the argument 'true'"},
      {"{{ [1] | join(sep=',') }}", "join: the argument 'sep'"},
      {"{{ [1] | sort(key='a') }}", "sort: the argument 'key'"},
      {"{{ {} | dictsort(by='size') }}", "dictsort: 'by' must be"},
      {"{{ [1] | map() }}", "map: the argument 'attribute' is missing"},
      {"{{ [1] | map(attribute='a', fallback=1) }}", "map: the argument 'fallback'"},
      {"{{ ['a'] | map('upper', 1) }}", "upper: 1 arguments"},
      {"{{ ['a'] | map('trim', no=1) }}", "trim: the argument 'no'"},
      {"{{ ['a'] | map(1) }}", "map: a name is needed"},
      {"{{ [1] | select(test='odd') }}", "the argument 'test' is not supported"},
      {"{{ [1] | select('odd', 1) }}", "odd: 1 arguments"},
      {"{{ [1] | selectattr() }}", "the argument 'attribute' is missing"},
      {"{{ '1' | int(base=16) }}", "int: the argument 'base'"},
      {"{{ 'a' | indent(by=2) }}", "indent: the argument 'by'"},
      {"{{ [1] | first(2) }}", "first: 1 arguments"},
      {"{{ 1 is odd(2) }}", "odd: 1 arguments"},
      {"{{ 1 is eq(wrong=1) }}", "eq: the argument 'wrong'"},
      {"{{ 1 is divisibleby }}", "divisibleby: the argument 'num' is missing"},
      {"{{ 'a'.strip(x='b') }}", "strip: the argument 'x'"},
      {"{{ 'a'.upper('b') }}", "upper: 1 arguments"},
      {"{{ 'a'.replace('a') }}", "replace: the argument 'new' is missing"},
      {"{{ 'a'.startswith() }}", "startswith: the argument 'prefix' is missing"},
      {"{{ 'a'.find('a', 1) }}", "find: 2 arguments"},
      {"{{ {}.get() }}", "get: the argument 'key' is missing"},
      {"{{ {}.items(1) }}", "items: 1 arguments"},
      {"{{ range() }}", "range: the argument 'start' is missing"},
      {"{{ range(stop=3) }}", "range: the argument 'start' is missing"},
      {"{{ range(1, 2, 3, 4) }}", "range: 4 arguments"},
      {"{{ raise_exception() }}", "raise_exception: the argument 'message' is missing"},
      {"{{ strftime_now() }}", "strftime_now: the argument 'format' is missing"},
      {"{{ strftime_now(zone='UTC') }}", "strftime_now: the argument 'zone'"},
      {"{{ dict([1]) }}", "dict: one dictionary"},
      {"{{ namespace(1) }}", "namespace: one dictionary"},
      {"{% macro f(a) %}{% endmacro %}{{ f(b=1) }}", "f: the argument 'b' is none of the macro"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, a=1) }}", "f: the argument 'a' is given twice"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "f: 2 arguments for the 1 parameters"},
  };
  for (const auto& [source, expected] : cases) {
    const std::string message = Message(source);
    INFO(source << " gave: " << message);
    CHECK(message.starts_with("chat template, line 1: "));
    CHECK(message.find(expected) != std::string::npos);
  }
}

TEST_CASE("hostile templates end with an error: no hang, no flood, no overflow of the stack") {
  const auto repeat = [](const std::string& text, size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += text;
    return out;
  };
  const std::string doubled =
      "{% set s = 'aaaaaaaaaaaaaaaa' %}" + repeat("{% set s = s ~ s %}", 16);
  const std::vector<std::string> sources{
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% set x = 'aaaaaaaa' %}" + repeat("{% set x = x + x %}", 60),
      "{% set x = [1] %}" + repeat("{% set x = [x, x] %}", 60) + "{% set y = [1] %}" +
          repeat("{% set y = [y, y] %}", 60) + "{{ x == y }}",
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
      // Lists that share their elements, compared again and again.
      "{% set r = range(9999) %}{% set b = [" + repeat("r,", 300) + "] %}{% set c = [" +
          repeat("r[:],", 300) +
          "] %}{% for i in range(1000) %}{% if b is eq c %}{% endif %}"
          "{% endfor %}{{ raise_exception('done') }}",
      doubled +
          "{% set l = s.split('a') %}{% for i in range(10000) %}{{ l[0] }}{% for x in l %}"
          "{% break %}{% endfor %}{% endfor %}{{ raise_exception('done') }}",
      doubled +
          "{% set t = s[:500000] ~ 'b' %}{{ t in s }}{{ s.strip(t) }}{{ s.find(t) }}"
          "{{ s.replace(t, '') }}{{ s.split(t) }}{{ raise_exception('done') }}",
      repeat("{# -#}", 170000) + "{{ raise_exception('done') }}",
      "{% for i in range(60) %}{% set ns = namespace() %}{% set l = [" +
          repeat("range(100000),", 310) + "] %}{% endfor %}",
      "{% set x = [range(-100000, 100000)] %}" + repeat("{% set x = [x] %}", 55) +
          "{{ (x | tojson(indent=1600)) | length }}",
      "{{ 'a' | map('map'" + repeat(",'map'", 50000) + ") }}",
      "{% set x = '-' | indent(999999999999, true) %}",
      "{{ raise_exception('" + std::string(100000, 'a') + "') }}",
      "{{ missing['" + std::string(100000, 'a') + "'] }}",
      "{{ " + std::string(100000, 'a') + " }}",
      "{{ [1] | " + std::string(190, 'a') + " }}",
      "{{ strftime_now('" + repeat("%c", 200) + "') }}",
      "{{ strftime_now('%999999999d') }}",
  };
  for (const std::string& source : sources) {
    const std::string message = Message(source);
    INFO(source.substr(0, 80) << " gave: " << message.substr(0, 200));
    CHECK(message.find("chat template") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 700);
  }
}

TEST_CASE("long conversations are far from the limits") {
  const ChatTemplate chat(
      "{% for m in messages %}{% if loop.index0 % 2 == 0 and m.role == 'user' %}<u>{% endif %}"
      "{% for c in m.content %}{{ c }}{% endfor %}{{ m.content | trim }}"
      "{{ (messages[:loop.index0] | selectattr('role', 'equalto', 'user') | list | length) }}"
      "{% endfor %}");
  std::vector<ChatMessage> messages;
  for (int i = 0; i < 500; ++i) {
    messages.push_back({i % 2 == 0 ? "user" : "assistant", std::string(1000, 'a')});
  }
  CHECK(chat.Render(messages, {}).size() > 1'000'000);
  // One message of a megabyte.
  messages.resize(1);
  messages[0].content.assign(1'000'000, 'a');
  CHECK(chat.Render(messages, {}).size() > 2'000'000);
}

TEST_CASE("messages that a template does not look at are found, whatever it does with the others") {
  const std::vector<ChatMessage> messages{
      {"system", "S"}, {"user", "hi"}, {"assistant", "<think>a</think>b"}, {"user", ""}};
  const auto left_out = [&](const char* source) {
    return ChatTemplate(source).LeftOut(messages, {});
  };
  using Indexes = std::vector<size_t>;
  CHECK(left_out("{% for m in messages %}{{ m.content | trim | upper | tojson }}{% endfor %}") ==
        Indexes{});
  CHECK(left_out("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}") ==
        Indexes{0});
  CHECK(left_out("{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}") ==
        Indexes{});
  CHECK(left_out("{{ messages[0].content }}") == Indexes{1, 2});
  CHECK(left_out("nothing") == Indexes{0, 1, 2});
  CHECK(left_out("{% if messages[0].content != 'S' %}{{ raise_exception('no') }}{% endif %}") ==
        Indexes{1, 2});
}

}  // namespace
}  // namespace crossover::tokenizer

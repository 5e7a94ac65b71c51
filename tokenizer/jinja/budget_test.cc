// That everything a template can do is charged for: what costs time takes steps, what costs memory
// takes bytes, and both have a limit.
#include "tokenizer/jinja/budget.h"

#include <csignal>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "tests/support/test_support.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace crossover::tokenizer::jinja {
namespace {

struct Outcome {
  std::string text;
  std::string error;
  size_t steps = 0;
  size_t bytes = 0;  // at most, at the same time
};

// `t` is a text, `u` another one that is equal, `l` a list of numbers, `m` another one that is
// equal, `d` a dictionary, all of `size` bytes or elements.
Outcome Execute(const std::string& source, size_t size, const Budget::Limits& limits = {}) {
  Budget parsing(limits);
  Budget budget(limits);
  Outcome outcome;
  {
    Namespace globals(budget);
    AddFunctions({}, globals);
    std::string text(size, 'b');
    for (size_t i = 0; i < size; i += 8) text[i] = ' ';
    globals.Set("t", Value::Text(budget, text));
    globals.Set("u", Value::Text(budget, text));
    ListBuilder l(budget);
    ListBuilder m(budget);
    DictBuilder d(budget);
    for (size_t i = 0; i < size / 16; ++i) {
      l.Add(static_cast<int64_t>(i % 50));
      m.Add(static_cast<int64_t>(i % 50));
      d.Set(Value::Text(budget, std::to_string(i)), static_cast<int64_t>(i));
    }
    globals.Set("l", l.Finish());
    globals.Set("m", m.Finish());
    globals.Set("d", d.Finish());
    const size_t before = budget.steps_used();
    try {
      outcome.text = Run(budget, Parse(parsing, source), globals);
    } catch (const Error& error) {
      outcome.error = error.what();
    }
    outcome.steps = budget.steps_used() - before;
    outcome.bytes = budget.most_bytes();
  }
  CHECK(budget.bytes_in_use() == 0);
  CHECK(parsing.bytes_in_use() == 0);
  return outcome;
}

// Each works through all of `t`, `l` or `d`.
const char* const kWork[] = {
    "{{ t }}",
    "{{ t ~ 'a' }}",
    "{{ t + u }}",
    "{{ t == u }}",
    "{{ t < u }}",
    "{{ 'x' in t }}",
    "{{ u in t }}",
    "{{ t[-1] }}",
    "{{ t[1:] }}",
    "{{ t[::-1] }}",
    "{{ t | length }}",
    "{{ t | upper }}",
    "{{ t | lower }}",
    "{{ t | title }}",
    "{{ t | capitalize }}",
    "{{ t | trim }}",
    "{{ t | trim('xb') }}",
    "{{ 'x' | trim(t) }}",
    "{{ t.strip(' b') }}",
    "{{ t.lstrip(u) }}",
    "{{ t.rstrip('b') }}",
    "{{ t | replace('b', 'cc') }}",
    "{{ t.replace('x', 'y') }}",
    "{{ t.split('x') }}",
    "{{ t.split() | length }}",
    "{{ t.find('x') }}",
    "{{ t.count('b') }}",
    "{{ t.startswith(u) }}",
    "{{ t.endswith(u) }}",
    "{{ t | indent }}",
    "{{ t | indent(u) }}",
    "{{ t | tojson }}",
    "{{ t | list | length }}",
    "{{ t | reverse }}",
    "{{ t | last }}",
    "{{ t | int }}",
    "{{ t | float }}",
    "{{ t | join('-') }}",
    "{{ u.join([1, 2, 3]) }}",
    "{% for c in t %}{% endfor %}",
    "{% for c in t if c == 'x' %}{% endfor %}",
    "{% set x %}{{ t }}{% endset %}",
    "{% macro f() %}{{ t }}{% endmacro %}{{ f() }}",
    "{{ l == m }}",
    "{{ l is eq m }}",
    "{{ 'x' in l }}",
    "{{ l + m }}",
    "{{ l[1:] }}",
    "{{ l | join }}",
    "{{ l | tojson }}",
    "{{ l | tojson(indent=2) }}",
    "{{ l | reverse | length }}",
    "{{ l | sort | length }}",
    "{{ l | unique | length }}",
    "{{ l | map('string') | length }}",
    "{{ l | map(attribute='x', default=1) | length }}",
    "{{ l | select('odd') | length }}",
    "{{ l | reject | length }}",
    "{{ l | selectattr('x') | length }}",
    "{{ l | select('eq', l) | length }}",
    "{% for x in l %}{% endfor %}",
    "{% for x in l if x is string %}{% endfor %}",
    "{{ range(l | length) | length }}",
    "{{ d == dict(d) }}",
    "{{ d.keys() }}",
    "{{ d.values() }}",
    "{{ d.items() }}",
    "{{ d | items | length }}",
    "{{ d | dictsort | length }}",
    "{{ d | list | length }}",
    "{{ d | tojson(sort_keys=true) }}",
    "{{ namespace(d) }}",
    "{{ dict(d) }}",
    "{{ d[t] }}",
    "{{ raise_exception(t ~ u) }}",
};

TEST_CASE("whatever works through much data takes steps for all of it") {
  constexpr size_t kSize = 64'000;
  for (const char* const source : kWork) {
    const Outcome small = Execute(source, kSize / 16);
    const Outcome large = Execute(source, kSize);
    INFO(std::string(source) << ": " << small.steps << " and " << large.steps << " steps; "
                             << large.error);
    CHECK(large.steps >= kSize / 64);
    CHECK(large.steps >= small.steps * 8);
    // In proportion to the data: nothing takes square time for it.
    CHECK(large.steps <= kSize * 8);
  }
}

TEST_CASE("whatever is too much work or memory is refused, and nothing is left behind") {
  for (const char* const source : kWork) {
    const std::string again = "{% for i in range(9999) %}" + std::string(source) + "{% endfor %}";
    const Outcome outcome = Execute(again, 16'000, {.steps = 2'000'000, .bytes = 2 << 20});
    INFO(std::string(source) << ": " << outcome.error);
    CHECK(outcome.error.starts_with("line 1: "));
    CHECK(outcome.steps <= 2'000'000);
    CHECK(outcome.bytes <= size_t{2} << 20);
  }
}

TEST_CASE("what is in use at the same time counts, not what was") {
  const std::string copies = "{% for i in range(1000) %}{% set x = t ~ i %}{% endfor %}done";
  CHECK(Execute(copies, 100'000, {.bytes = 6 << 20}).text == "done");
  const std::string kept =
      "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = ns.l + [t ~ i] %}"
      "{% endfor %}";
  CHECK(Execute(kept, 100'000, {.bytes = 6 << 20}).error.find("6 MiB") != std::string::npos);
  const std::string shared =
      "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = ns.l + [t] %}"
      "{% endfor %}done";
  CHECK(Execute(shared, 100'000, {.bytes = 6 << 20}).text == "done");
}

TEST_CASE("a large literal is charged each time that it is made, and in proportion") {
  const auto literal = [](size_t n) {
    std::string source = "{% set d = {";
    for (size_t i = 0; i < n; ++i) source += "'a" + std::to_string(i) + "':1,";
    return source + "} %}";
  };
  const size_t small = Execute(literal(1'000), 0).steps;
  const size_t large = Execute(literal(10'000), 0).steps;
  CHECK(small >= 1'000);
  CHECK(large >= 10'000);
  CHECK(large <= 20 * small);
}

TEST_CASE("parsing takes steps in proportion, whatever the white space and comments") {
  const char* const pieces[] = {"{# -#}",
                                "{#- -#}  ",
                                "{{- 1 -}} ",
                                "{%- if 1 -%}{%- endif -%}\n",
                                "{% raw -%} {% {%- endraw %}",
                                "a\n  ",
                                "{%    raw%}{%endraw   %}"};
  for (const char* const piece : pieces) {
    INFO(std::string(piece));
    const auto steps = [&](size_t n) {
      std::string source;
      for (size_t i = 0; i < n; ++i) source += piece;
      Budget budget({});
      const Block block = Parse(budget, source);
      return budget.steps_used();
    };
    CHECK(steps(2'000) <= 25 * steps(100));
  }
}

TEST_CASE("more tokens than a template can have are refused while they are read") {
  Budget budget({.bytes = 1 << 20});
  std::string source = "{{ [";
  for (int i = 0; i < 100'000; ++i) source += "1,";
  CHECK_THROWS_WITH_AS(Parse(budget, source + "] }}"), doctest::Contains("memory"), Error);
}

TEST_CASE("a template that calls itself stops before the stack does") {
  const std::string deep = [] {
    std::string source = "{% macro m(n) %}";
    for (int i = 0; i < 95; ++i) source += "{% for q in [1] %}";
    source += "{{ m(n)";
    for (int i = 0; i < 290; ++i) source += "~''";
    source += " }}";
    for (int i = 0; i < 95; ++i) source += "{% endfor %}";
    return source + "{% endmacro %}{{ m(1) }}";
  }();
  CHECK(Execute(deep, 0).error.find("too deep") != std::string::npos);
  std::string maps = "{{ ['a'] | map('map'";
  for (int i = 0; i < 20'000; ++i) maps += ",'map'";
  CHECK(Execute(maps + ") }}", 0).error.starts_with("line 1: "));
}

TEST_CASE("values that could hold themselves are refused") {
  for (const char* const source : {
           "{% set ns = namespace() %}{% set ns.x = ns %}",
           "{% set ns = namespace(x=namespace()) %}",
           "{{ [namespace()] }}",
           "{{ {'a': namespace()} }}",
           "{% for x in [1] %}{% set y = [loop] %}{% endfor %}",
           "{% set ns = namespace() %}{% for x in [1] %}{% set ns.l = loop %}{% endfor %}",
       }) {
    INFO(std::string(source));
    CHECK_FALSE(Execute(source, 0).error.empty());
  }
}

TEST_CASE("Ctrl-C ends a template that works") {
  InstallInterruptHandlers();
  std::raise(SIGINT);
  const Outcome outcome =
      Execute("{% for i in range(99999) %}{% for j in range(99) %}{% endfor %}{% endfor %}", 0);
  CHECK(TakeInterrupt());
  CHECK(outcome.error.starts_with("interrupted"));
  CHECK(outcome.steps < 1'000'000);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace
}  // namespace crossover::tokenizer::jinja

#include "tokenizer/template_grammar.h"

#include <fmt/format.h>

namespace crossover::tokenizer {
namespace {

constexpr int kMostDepth = 7;
constexpr size_t kMostStatements = 12;
constexpr size_t kMostText = 20'000;  // of a template

}  // namespace

size_t TemplateGrammar::Choose(size_t count) {
  return at_ < bytes_.size() ? bytes_[at_++] % count : 0;
}

template <size_t kCount>
std::string TemplateGrammar::OneOf(const char* const (&choices)[kCount]) {
  return choices[Choose(kCount)];
}

std::string TemplateGrammar::Name() {
  return OneOf({"a", "b", "c", "ns", "messages", "loop", "m", "f", "bos_token", "undefined"});
}

std::string TemplateGrammar::Text() {
  return OneOf({"''", "'a'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'", "'é😀 \\n'", "' '", "'role'",
                "'content'", "'map'", "'upper'", "'a.b'", "'0'", "'9e99'", "'%Y'", "'\\xff'",
                "'nan'"});
}

std::string TemplateGrammar::Arguments() {
  std::string text = "(";
  for (size_t n = Choose(4); n > 0; --n) {
    if (Choose(3) == 1) {
      text += OneOf({"indent", "separators", "sort_keys", "ensure_ascii", "attribute", "default",
                     "reverse", "case_sensitive", "chars", "count", "width", "first", "by", "no"});
      text += "=";
    }
    text += Expression() + ",";
  }
  if (text.size() > 1) text.pop_back();
  return text + ")";
}

std::string TemplateGrammar::Compound() {
  switch (Choose(12)) {
    case 0:
      return Expression() +
             OneOf({" + ", " ~ ", " == ", " in ", " < ", " * ", " // ", " % ", " and ", " or ",
                    " not in ", " != ", " - ", " / "}) +
             Expression();
    case 1:
    case 2:
      return Expression() + " | " +
             OneOf({"upper",  "lower",   "title",      "trim",       "length",   "list",  "first",
                    "last",   "join",    "map",        "select",     "reject",   "sort",  "unique",
                    "tojson", "replace", "selectattr", "rejectattr", "dictsort", "items", "int",
                    "float",  "string",  "indent",     "reverse",    "default",  "safe",  "abs",
                    "count",  "d",       "capitalize", "batch"}) +
             (Choose(2) == 1 ? Arguments() : "");
    case 3:
      return Expression() + " is " +
             OneOf({"eq", "ne", "lt", "in", "divisibleby", "ge", "odd", "string", "defined"}) +
             (Choose(2) == 1 ? Arguments() : "");
    case 4:
      return Expression() + "." +
             OneOf({"strip", "lstrip", "rstrip", "split", "find", "count", "upper", "title",
                    "startswith", "endswith", "replace", "join", "get", "keys", "values", "items",
                    "cycle", "none"}) +
             Arguments();
    case 5:
      return Expression() + "[" + Expression() + "]";
    case 6:
      return Expression() + "[" + Expression() + ":" + Expression() + ":" + Expression() + "]";
    case 7: {
      std::string text = "[";
      for (size_t n = Choose(6); n > 0; --n) text += Expression() + ",";
      return text + "]";
    }
    case 8: {
      std::string text = "{";
      for (size_t n = Choose(12); n > 0; --n) text += Text() + ":" + Expression() + ",";
      return text + "}";
    }
    case 9:
      return Expression() + " if " + Expression() + " else " + Expression();
    case 10:
      return OneOf({"range", "dict", "namespace", "strftime_now", "f", "raise_exception"}) +
             Arguments();
    default:
      return Expression() + "." +
             OneOf({"a", "role", "content", "index", "nextitem", "items", "depth", "none"});
  }
}

std::string TemplateGrammar::Expression() {
  if (depth_ >= kMostDepth) return "1";
  ++depth_;
  std::string text;
  switch (Choose(6)) {
    case 0:
    case 1:
      text = Name();
      break;
    case 2:
      text = Text();
      break;
    case 3:
      text = OneOf({"0", "1", "-1", "2", "3.5", "1000", "100000", "9223372036854775807", "true",
                    "none", "-9223372036854775807"});
      break;
    default:
      text = fmt::format("({})", Compound());
  }
  --depth_;
  return text;
}

std::string TemplateGrammar::Statement() {
  const std::string minus = Choose(4) == 1 ? "-" : "";
  const std::string open = "{%" + minus + " ";
  switch (Choose(12)) {
    case 0:
      return "{{" + minus + " " + Expression() + " }}";
    case 1:
      return open + "set " + OneOf({"a", "b", "c", "ns.a", "a, b"}) + " = " + Expression() + " %}";
    case 2:
      return open + "for " + OneOf({"a", "m", "a, b"}) + " in " + Expression() +
             (Choose(3) == 1 ? " if " + Expression() : "") + " %}" + Block() +
             OneOf({"", "{% break %}", "{% else %}e", "{% continue %}"}) + "{% endfor %}";
    case 3:
      return open + "if " + Expression() + " %}" + Block() + "{% else %}" + Block() + "{% endif %}";
    case 4:
      return open + "set a %}" + Block() + "{% endset %}";
    case 5:
      return open + "macro f(a, b=" + Expression() + ") %}" + Block() + "{% endmacro %}";
    case 6:
      return "{% set ns = namespace(a=" + Expression() + ") %}";
    case 7: {  // what doubles again and again
      std::string text = "{% set a = " + Expression() + " %}";
      const std::string twice = OneOf({"{% set a = a ~ a %}", "{% set a = [a, a] %}",
                                       "{% set a = a + a %}", "{% set a = {'a': a, 'b': a} %}"});
      for (size_t n = Choose(40); n > 0; --n) text += twice;
      return text;
    }
    case 8: {  // the same many times in the source
      const std::string piece = OneOf({"{# -#}", "{#- x #}  ", "{%- if a -%}{%- endif -%}",
                                       "{% raw %}{%{% endraw %}", "  \n", "{{ '' }}"});
      std::string text;
      for (size_t n = Choose(60) * Choose(10); n > 0; --n) text += piece;
      return text;
    }
    case 9:
      return "{% for a in range(" + OneOf({"10", "1000", "100000"}) + ") %}" + Block() +
             "{% endfor %}";
    case 10:
      return "{{ " + Expression() + " }}" + OneOf({"text", "\n", " \n ", "{", "é", "{#x#}"});
    default:
      return OneOf({"text\n", "  ", "{%- raw %} {{ {% endraw -%}", "{{", "%}", "{% endif %}"});
  }
}

std::string TemplateGrammar::Block() {
  if (depth_ >= kMostDepth) return "x";
  ++depth_;
  std::string text;
  for (size_t n = Choose(4) + 1; n > 0; --n) text += Statement();
  --depth_;
  return text;
}

std::string TemplateGrammar::Template() {
  std::string text;
  for (size_t n = 0; n < kMostStatements && at_ < bytes_.size() && text.size() < kMostText; ++n) {
    text += Statement();
  }
  return text;
}

}  // namespace crossover::tokenizer

// A template as a row of tokens, with the white space around tags settled as the chat templates
// expect it: `trim_blocks` and `lstrip_blocks` are on (a tag alone on its line leaves no line), `-`
// beside a delimiter strips all white space on that side, `+` none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/budget.h"

namespace crossover::tokenizer::jinja {

enum class TokenKind {
  kText,        // to be printed as it is
  kPrintBegin,  // {{
  kPrintEnd,
  kTagBegin,  // {%
  kTagEnd,
  kName,
  kString,  // `text` is what it stands for
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  size_t line;
};

/// Error(kUnsupported) with the line of what is no template: an unclosed tag, comment or text, or
/// more tokens than the budget has memory for (and for what is made of them).
std::vector<Token> Tokenize(Budget& budget, std::string_view source);

/// Error(kUnsupported) "line N: …".
[[noreturn]] void Fail(size_t line, std::string_view message);

}  // namespace crossover::tokenizer::jinja

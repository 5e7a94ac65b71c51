#include "tokenizer/jinja/token_cursor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {

const Token& TokenCursor::Next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenCursor::BehindIs(TokenKind kind, std::string_view text) const {
  if (at_ + 1 >= tokens_.size()) return false;
  const Token& behind = tokens_[at_ + 1];
  return behind.kind == kind && behind.text == text;
}

void TokenCursor::CheckStack() const {
  try {
    stack_.Check();
  } catch (const Error& error) {
    Fail(line(), error.what());
  }
}

bool TokenCursor::TakeOperator(std::string_view text) {
  const bool there = AtOperator(text);
  if (there) Next();
  return there;
}

bool TokenCursor::TakeName(std::string_view text) {
  const bool there = AtName(text);
  if (there) Next();
  return there;
}

void TokenCursor::Expect(TokenKind kind, std::string_view what) {
  if (!At(kind)) Unexpected(what);
  Next();
}

void TokenCursor::ExpectOperator(std::string_view text) {
  if (!TakeOperator(text)) Unexpected(text);
}

std::string TokenCursor::ExpectName() {
  if (!At(TokenKind::kName)) Unexpected("a name");
  return Next().text;
}

void TokenCursor::Unexpected(std::string_view wanted) const {
  Fail(line(), peek().text.empty()
                   ? fmt::format("'{}' was expected", wanted)
                   : fmt::format("'{}' was expected, not '{}'", wanted, Shortened(peek().text)));
}

}  // namespace crossover::tokenizer::jinja

// A place in a row of tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/lexer.h"

namespace crossover::tokenizer::jinja {

class TokenCursor {
 public:
  /// The last token is kEnd.
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek() const { return tokens_[at_]; }
  size_t line() const { return peek().line; }
  /// kEnd comes again and again.
  const Token& Next();

  bool At(TokenKind kind) const { return peek().kind == kind; }
  bool At(TokenKind kind, std::string_view text) const { return At(kind) && peek().text == text; }
  bool AtOperator(std::string_view text) const { return At(TokenKind::kOperator, text); }
  bool AtName(std::string_view text) const { return At(TokenKind::kName, text); }
  /// Whether the token behind this one is that.
  bool BehindIs(TokenKind kind, std::string_view text) const;

  /// Error(kUnsupported) if the stack is used up.
  void CheckStack() const;

  bool TakeOperator(std::string_view text);
  bool TakeName(std::string_view text);
  /// Error(kUnsupported) if something else stands there.
  void Expect(TokenKind kind, std::string_view what);
  void ExpectOperator(std::string_view text);
  std::string ExpectName();

 private:
  [[noreturn]] void Unexpected(std::string_view wanted) const;

  std::vector<Token> tokens_;
  StackGuard stack_;
  size_t at_ = 0;
};

}  // namespace crossover::tokenizer::jinja

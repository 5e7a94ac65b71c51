// Expressions, in the precedence of the language.
#pragma once

#include "tokenizer/jinja/syntax.h"
#include "tokenizer/jinja/token_cursor.h"

namespace crossover::tokenizer::jinja {

/// a if b else c, or anything that binds tighter. Error(kUnsupported) with the line.
ExpressionPtr ParseExpression(TokenCursor& cursor);

/// The same, or several with commas between: then a list.
ExpressionPtr ParseTuple(TokenCursor& cursor);

/// Without `if`, which in the head of a loop begins the loop's condition.
ExpressionPtr ParseLoopSource(TokenCursor& cursor);

/// Templates come in files from anywhere; this bounds the stack.
class NestingGuard {
 public:
  /// Error(kUnsupported) beyond kLimit, or where the stack is used up before.
  NestingGuard(int& depth, const TokenCursor& cursor);
  ~NestingGuard() { --depth_; }
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;

  static constexpr int kLimit = 100;

 private:
  int& depth_;
};

}  // namespace crossover::tokenizer::jinja

#include "tokenizer/jinja/parser.h"

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/lexer.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/token_cursor.h"

namespace crossover::tokenizer::jinja {
namespace {

using Kind = StatementKind;

class Parser {
 public:
  Parser(Budget& budget, std::string_view source) : cursor_(Tokenize(budget, source)) {}

  Block Run() { return ParseBlock({}); }

 private:
  Statement Make(Kind kind) const { return {.kind = kind, .line = cursor_.line()}; }

  // Until a tag that begins with one of `ends`, whose name is then the next token; without any,
  // until the end of the template.
  Block ParseBlock(std::initializer_list<std::string_view> ends) {
    const size_t line = cursor_.line();
    const NestingGuard guard(depth_, cursor_);
    Block block;
    while (!cursor_.At(TokenKind::kEnd)) {
      if (cursor_.At(TokenKind::kText)) {
        Statement statement = Make(Kind::kText);
        statement.text = cursor_.Next().text;
        block.push_back(std::move(statement));
      } else if (cursor_.At(TokenKind::kPrintBegin)) {
        block.push_back(ParsePrint());
      } else {
        cursor_.Next();
        for (const std::string_view end : ends) {
          if (cursor_.AtName(end)) return block;
        }
        block.push_back(ParseTag());
      }
    }
    if (ends.size() > 0) Fail(line, fmt::format("'{}' is missing", *(ends.end() - 1)));
    return block;
  }

  void EndTag() { cursor_.Expect(TokenKind::kTagEnd, "%}"); }

  Statement ParsePrint() {
    Statement statement = Make(Kind::kPrint);
    cursor_.Next();
    statement.value = ParseTuple(cursor_);
    cursor_.Expect(TokenKind::kPrintEnd, "}}");
    return statement;
  }

  Statement ParseTag() {
    const std::string name = cursor_.ExpectName();
    if (name == "if") return ParseIf();
    if (name == "for") return ParseFor();
    if (name == "set") return ParseSet();
    if (name == "macro") return ParseMacro();
    // Marks what an assistant said, for training; renders as if it were not there.
    if (name == "generation") return ParsePlain("endgeneration");
    if (name == "break" || name == "continue") {
      if (loops_ == 0) Fail(cursor_.line(), fmt::format("'{}' outside a loop", name));
      Statement statement = Make(name == "break" ? Kind::kBreak : Kind::kContinue);
      EndTag();
      return statement;
    }
    Fail(cursor_.line(), fmt::format("the tag '{}' is not supported", Shortened(name)));
  }

  Statement ParsePlain(std::string_view end) {
    Statement statement = Make(Kind::kBlock);
    EndTag();
    statement.branches.push_back({nullptr, ParseBlock({end})});
    cursor_.Next();
    EndTag();
    return statement;
  }

  Statement ParseIf() {
    Statement statement = Make(Kind::kIf);
    ExpressionPtr condition = ParseTuple(cursor_);
    while (true) {
      EndTag();
      const bool last = condition == nullptr;
      Block block = last ? ParseBlock({"endif"}) : ParseBlock({"elif", "else", "endif"});
      statement.branches.push_back({std::move(condition), std::move(block)});
      const std::string name = cursor_.ExpectName();
      if (name == "endif") break;
      condition = name == "elif" ? ParseTuple(cursor_) : nullptr;
    }
    EndTag();
    return statement;
  }

  std::vector<std::string> ParseTargets() {
    const bool parenthesis = cursor_.TakeOperator("(");
    std::vector<std::string> targets{cursor_.ExpectName()};
    while (cursor_.TakeOperator(",")) targets.push_back(cursor_.ExpectName());
    if (parenthesis) cursor_.ExpectOperator(")");
    return targets;
  }

  Statement ParseFor() {
    Statement statement = Make(Kind::kFor);
    statement.targets = ParseTargets();
    if (!cursor_.TakeName("in")) Fail(cursor_.line(), "'in' was expected");
    statement.value = ParseLoopSource(cursor_);
    if (cursor_.TakeName("if")) statement.condition = ParseExpression(cursor_);
    EndTag();
    ++loops_;
    statement.branches.push_back({nullptr, ParseBlock({"else", "endfor"})});
    --loops_;
    if (cursor_.ExpectName() == "else") {
      EndTag();
      statement.branches.push_back({nullptr, ParseBlock({"endfor"})});
      cursor_.Next();
    }
    EndTag();
    return statement;
  }

  Statement ParseSet() {
    Statement statement = Make(Kind::kSet);
    statement.targets = ParseTargets();
    if (statement.targets.size() == 1 && cursor_.TakeOperator(".")) {
      statement.attribute = cursor_.ExpectName();
    }
    if (cursor_.TakeOperator("=")) {
      statement.value = ParseTuple(cursor_);
      EndTag();
      return statement;
    }
    if (statement.targets.size() > 1) Fail(cursor_.line(), "'=' was expected");
    EndTag();
    statement.branches.push_back({nullptr, ParseBlock({"endset"})});
    cursor_.Next();
    EndTag();
    return statement;
  }

  Statement ParseMacro() {
    Statement statement = Make(Kind::kMacro);
    statement.targets.push_back(cursor_.ExpectName());
    cursor_.ExpectOperator("(");
    while (!cursor_.TakeOperator(")")) {
      Statement::Parameter parameter{cursor_.ExpectName(), nullptr};
      if (cursor_.TakeOperator("=")) parameter.fallback = ParseExpression(cursor_);
      statement.parameters.push_back(std::move(parameter));
      if (!cursor_.AtOperator(")")) cursor_.ExpectOperator(",");
    }
    EndTag();
    const int outer = std::exchange(loops_, 0);
    statement.branches.push_back({nullptr, ParseBlock({"endmacro"})});
    loops_ = outer;
    cursor_.Next();
    EndTag();
    return statement;
  }

  TokenCursor cursor_;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Block Parse(Budget& budget, std::string_view source) { return Parser(budget, source).Run(); }

}  // namespace crossover::tokenizer::jinja

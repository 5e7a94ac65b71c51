#include "tokenizer/jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using Kind = ExpressionKind;

/// Of a tree; a chain such as `a | b | c` makes one as deep as it is long.
constexpr int kMaxTreeDepth = 300;

class Parser {
 public:
  explicit Parser(TokenCursor& cursor) : cursor_(cursor) {}

  ExpressionPtr Conditional() {
    const NestingGuard guard(depth_, cursor_);
    ExpressionPtr value = Or();
    if (!cursor_.AtName("if")) return value;
    auto node = Make(Kind::kConditional);
    cursor_.Next();
    node.operands.push_back(Or());
    node.operands.push_back(std::move(value));
    node.operands.push_back(cursor_.TakeName("else") ? Conditional() : nullptr);
    return Finish(std::move(node));
  }

  ExpressionPtr Tuple() {
    ExpressionPtr first = Conditional();
    if (!cursor_.AtOperator(",")) return first;
    auto node = Make(Kind::kList);
    node.operands.push_back(std::move(first));
    while (cursor_.TakeOperator(",")) {
      if (AtClose()) break;
      node.operands.push_back(Conditional());
    }
    return Finish(std::move(node));
  }

  ExpressionPtr Or() {
    return LeftToRight({"or"}, [this] { return And(); });
  }

 private:
  Expression Make(Kind kind) const { return {.kind = kind, .line = cursor_.line()}; }
  static ExpressionPtr Finish(Expression node) {
    for (const ExpressionPtr& operand : node.operands) {
      if (operand) node.depth = std::max(node.depth, operand->depth + 1);
    }
    for (const auto& [name, value] : node.named)
      node.depth = std::max(node.depth, value->depth + 1);
    if (node.depth > kMaxTreeDepth) Fail(node.line, "the expression is too deep");
    return std::make_unique<const Expression>(std::move(node));
  }

  bool AtClose() const {
    return cursor_.At(TokenKind::kPrintEnd) || cursor_.At(TokenKind::kTagEnd) ||
           cursor_.AtOperator(")") || cursor_.AtOperator("]") || cursor_.AtOperator("}") ||
           cursor_.AtOperator("=");
  }

  template <typename Operand>
  ExpressionPtr LeftToRight(std::initializer_list<std::string_view> operators,
                            const Operand& operand) {
    ExpressionPtr left = operand();
    while (true) {
      const Token& token = cursor_.peek();
      if ((token.kind != TokenKind::kOperator && token.kind != TokenKind::kName) ||
          std::ranges::find(operators, token.text) == operators.end()) {
        return left;
      }
      auto node = Make(Kind::kBinary);
      node.name = cursor_.Next().text;
      node.operands.push_back(std::move(left));
      node.operands.push_back(operand());
      left = Finish(std::move(node));
    }
  }

  ExpressionPtr And() {
    return LeftToRight({"and"}, [this] { return Not(); });
  }

  ExpressionPtr Not() {
    if (!cursor_.AtName("not")) return Comparison();
    const NestingGuard guard(depth_, cursor_);
    return Unary([this] { return Not(); });
  }

  template <typename Operand>
  ExpressionPtr Unary(const Operand& operand) {
    auto node = Make(Kind::kUnary);
    node.name = cursor_.Next().text;
    node.operands.push_back(operand());
    return Finish(std::move(node));
  }

  bool AtComparison() const {
    static constexpr std::array<std::string_view, 6> kComparisons{"==", "!=", "<", ">", "<=", ">="};
    if (cursor_.At(TokenKind::kOperator)) {
      return std::ranges::find(kComparisons, cursor_.peek().text) != kComparisons.end();
    }
    return cursor_.AtName("in") ||
           (cursor_.AtName("not") && cursor_.BehindIs(TokenKind::kName, "in"));
  }

  ExpressionPtr Comparison() {
    ExpressionPtr left = Sum();
    if (!AtComparison()) return left;
    auto node = Make(Kind::kBinary);
    node.name = cursor_.Next().text;
    if (node.name == "not") node.name += ' ' + cursor_.Next().text;
    node.operands.push_back(std::move(left));
    node.operands.push_back(Sum());
    if (AtComparison()) Fail(cursor_.line(), "chained comparisons are not supported");
    return Finish(std::move(node));
  }

  ExpressionPtr Sum() {
    return LeftToRight({"+", "-"}, [this] { return Concatenation(); });
  }
  ExpressionPtr Concatenation() {
    return LeftToRight({"~"}, [this] { return Product(); });
  }
  ExpressionPtr Product() {
    return LeftToRight({"*", "/", "//", "%"}, [this] { return Filtered(); });
  }

  // Filters and tests bind tighter than arithmetic, but a sign binds tighter than they do.
  ExpressionPtr Filtered() {
    ExpressionPtr value = Signed();
    while (true) {
      if (cursor_.AtOperator("|")) {
        value = Filter(std::move(value));
      } else if (cursor_.AtName("is")) {
        value = Test(std::move(value));
      } else if (cursor_.AtOperator("(")) {
        value = Call(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExpressionPtr Signed() {
    if (!cursor_.AtOperator("-") && !cursor_.AtOperator("+")) return Postfix();
    const NestingGuard guard(depth_, cursor_);
    return Unary([this] { return Signed(); });
  }

  ExpressionPtr Filter(ExpressionPtr value) {
    cursor_.ExpectOperator("|");
    auto node = Make(Kind::kFilter);
    node.name = cursor_.ExpectName();
    node.operands.push_back(std::move(value));
    if (cursor_.AtOperator("(")) CallArguments(node);
    return Finish(std::move(node));
  }

  ExpressionPtr Test(ExpressionPtr value) {
    auto node = Make(Kind::kTest);
    cursor_.Next();
    const bool negated = cursor_.TakeName("not");
    node.name = cursor_.ExpectName();
    node.operands.push_back(std::move(value));
    if (cursor_.AtOperator("(")) {
      CallArguments(node);
    } else if (AtTestArgument()) {
      node.operands.push_back(Postfix());
    }
    if (!negated) return Finish(std::move(node));
    auto inverse = Make(Kind::kUnary);
    inverse.name = "not";
    inverse.operands.push_back(Finish(std::move(node)));
    return Finish(std::move(inverse));
  }

  // `is divisibleby 3`.
  bool AtTestArgument() const {
    if (cursor_.At(TokenKind::kName)) {
      static constexpr std::array<std::string_view, 6> kKeywords{"else", "or", "and",
                                                                 "is",   "if", "not"};
      return std::ranges::find(kKeywords, cursor_.peek().text) == kKeywords.end();
    }
    return cursor_.At(TokenKind::kString) || cursor_.At(TokenKind::kInteger) ||
           cursor_.At(TokenKind::kFloat) || cursor_.AtOperator("[") || cursor_.AtOperator("{");
  }

  ExpressionPtr Postfix() {
    ExpressionPtr value = Primary();
    while (true) {
      if (cursor_.AtOperator(".")) {
        value = Attribute(std::move(value));
      } else if (cursor_.AtOperator("[")) {
        value = Subscript(std::move(value));
      } else if (cursor_.AtOperator("(")) {
        value = Call(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExpressionPtr Attribute(ExpressionPtr value) {
    auto node = Make(Kind::kAttribute);
    cursor_.Next();
    node.name = cursor_.ExpectName();
    node.literal = Value::Literal(node.name);
    node.operands.push_back(std::move(value));
    return Finish(std::move(node));
  }

  ExpressionPtr Subscript(ExpressionPtr value) {
    auto node = Make(Kind::kItem);
    cursor_.Next();
    node.operands.push_back(std::move(value));
    node.operands.push_back(cursor_.AtOperator(":") ? nullptr : Conditional());
    for (int part = 2; part < 4 && cursor_.TakeOperator(":"); ++part) {
      node.kind = Kind::kSlice;
      const bool absent = cursor_.AtOperator(":") || cursor_.AtOperator("]");
      node.operands.push_back(absent ? nullptr : Conditional());
    }
    if (node.kind == Kind::kSlice) node.operands.resize(4);
    cursor_.ExpectOperator("]");
    return Finish(std::move(node));
  }

  ExpressionPtr Call(ExpressionPtr callee) {
    auto node = Make(Kind::kCall);
    node.operands.push_back(std::move(callee));
    CallArguments(node);
    return Finish(std::move(node));
  }

  void CallArguments(Expression& node) {
    cursor_.ExpectOperator("(");
    while (!cursor_.TakeOperator(")")) {
      if (cursor_.At(TokenKind::kName) && cursor_.BehindIs(TokenKind::kOperator, "=")) {
        std::string name = cursor_.ExpectName();
        cursor_.ExpectOperator("=");
        node.named.emplace_back(std::move(name), Conditional());
      } else {
        node.operands.push_back(Conditional());
      }
      if (!cursor_.AtOperator(")")) cursor_.ExpectOperator(",");
    }
  }

  ExpressionPtr Literal(Value value) {
    auto node = Make(Kind::kLiteral);
    cursor_.Next();
    node.literal = std::move(value);
    return Finish(std::move(node));
  }

  ExpressionPtr Primary() {
    const Token& token = cursor_.peek();
    switch (token.kind) {
      case TokenKind::kName:
        return Name();
      case TokenKind::kString:
        return Text();
      case TokenKind::kInteger:
        return Literal(Value(Number<int64_t>(token)));
      case TokenKind::kFloat:
        return Literal(Value(Number<double>(token)));
      default:
        break;
    }
    if (cursor_.AtOperator("(")) return Parenthesis();
    if (cursor_.AtOperator("[")) return ListLiteral();
    if (cursor_.AtOperator("{")) return DictLiteral();
    Fail(token.line, fmt::format("an expression was expected, not '{}'", Shortened(token.text)));
  }

  // Literals side by side are one.
  ExpressionPtr Text() {
    auto node = Make(Kind::kLiteral);
    std::string text;
    while (cursor_.At(TokenKind::kString)) text += cursor_.Next().text;
    node.literal = Value::Literal(std::move(text));
    return Finish(std::move(node));
  }

  template <typename T>
  static T Number(const Token& token) {
    T value{};
    const char* end = token.text.data() + token.text.size();
    const auto result = std::from_chars(token.text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) {
      Fail(token.line, fmt::format("{} is out of range", Shortened(token.text)));
    }
    return value;
  }

  ExpressionPtr Name() {
    const std::string& name = cursor_.peek().text;
    if (name == "true" || name == "True") return Literal(true);
    if (name == "false" || name == "False") return Literal(false);
    if (name == "none" || name == "None") return Literal(nullptr);
    auto node = Make(Kind::kName);
    node.name = cursor_.Next().text;
    node.literal = Value::Literal(node.name);
    return Finish(std::move(node));
  }

  ExpressionPtr Parenthesis() {
    cursor_.ExpectOperator("(");
    if (cursor_.AtOperator(")")) {  // an empty tuple
      auto node = Make(Kind::kList);
      cursor_.Next();
      return Finish(std::move(node));
    }
    ExpressionPtr value = Tuple();
    cursor_.ExpectOperator(")");
    return value;
  }

  ExpressionPtr ListLiteral() {
    auto node = Make(Kind::kList);
    cursor_.ExpectOperator("[");
    while (!cursor_.TakeOperator("]")) {
      node.operands.push_back(Conditional());
      if (!cursor_.AtOperator("]")) cursor_.ExpectOperator(",");
    }
    return Finish(std::move(node));
  }

  ExpressionPtr DictLiteral() {
    auto node = Make(Kind::kDict);
    cursor_.ExpectOperator("{");
    while (!cursor_.TakeOperator("}")) {
      node.operands.push_back(Conditional());
      cursor_.ExpectOperator(":");
      node.operands.push_back(Conditional());
      if (!cursor_.AtOperator("}")) cursor_.ExpectOperator(",");
    }
    return Finish(std::move(node));
  }

  TokenCursor& cursor_;
  int depth_ = 0;
};

}  // namespace

NestingGuard::NestingGuard(int& depth, const TokenCursor& cursor) : depth_(depth) {
  if (depth >= kLimit) Fail(cursor.line(), "nested too deep");
  cursor.CheckStack();
  ++depth_;
}

ExpressionPtr ParseExpression(TokenCursor& cursor) { return Parser(cursor).Conditional(); }
ExpressionPtr ParseTuple(TokenCursor& cursor) { return Parser(cursor).Tuple(); }
ExpressionPtr ParseLoopSource(TokenCursor& cursor) { return Parser(cursor).Or(); }

}  // namespace crossover::tokenizer::jinja

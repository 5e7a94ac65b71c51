// What a template says, as trees.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind {
  kLiteral,      // literal
  kName,         // name, and the same as literal
  kList,         // operands: the elements
  kDict,         // operands: key, value, key, value …
  kAttribute,    // operands[0].name, and the same as literal
  kItem,         // operands[0][operands[1]]
  kSlice,        // operands[0][operands[1]:operands[2]:operands[3]], null where absent
  kCall,         // operands[0](operands[1] …, named)
  kFilter,       // operands[0] | name(operands[1] …, named)
  kTest,         // operands[0] is name(operands[1] …)
  kUnary,        // name: "-", "+", "not"
  kBinary,       // name: "+", "==", "and", "not in" …
  kConditional,  // operands[1] if operands[0] else operands[2], null where absent
};

struct Expression {
  ExpressionKind kind;
  size_t line;
  int depth = 1;  // of the tree below
  std::string name = {};
  Value literal = {};
  std::vector<ExpressionPtr> operands = {};
  std::vector<std::pair<std::string, ExpressionPtr>> named = {};
};

struct Statement;
using Block = std::vector<Statement>;

enum class StatementKind {
  kText,   // text
  kPrint,  // value
  kIf,     // branches, in order; one without a condition is `else`
  kFor,    // targets in value, if condition: branches[0]; empty: branches[1]
  kSet,    // targets = value, or branches[0]'s text where there is no value
  kMacro,  // targets[0](parameters): branches[0]
  kBlock,  // branches[0], as if its tags were not there
  kBreak,
  kContinue,
};

struct Statement {
  struct Branch {
    ExpressionPtr condition = {};
    Block block = {};
  };
  struct Parameter {
    std::string name;
    ExpressionPtr fallback;  // null: undefined if not given
  };

  StatementKind kind;
  size_t line;
  std::string text = {};
  std::vector<std::string> targets = {};
  std::string attribute = {};  // kSet: of the namespace targets[0]
  ExpressionPtr value = {};
  ExpressionPtr condition = {};
  std::vector<Branch> branches = {};
  std::vector<Parameter> parameters = {};
};

}  // namespace crossover::tokenizer::jinja

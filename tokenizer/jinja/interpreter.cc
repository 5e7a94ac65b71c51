#include "tokenizer/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tokenizer/jinja/arithmetic.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/lexer.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

using Names = std::map<std::string, Value, std::less<>>;

// A step is about 0.1 µs. Llama 3.2's template takes 16 for each character of a conversation, most
// others a few hundred for each message.
constexpr size_t kMaxSteps = 20'000'000;
constexpr size_t kBytesPerStep = 64;
constexpr size_t kLoopSteps = 8;
constexpr int kMaxCalls = 20;

class Interpreter {
 public:
  explicit Interpreter(const Namespace& globals) { scopes_.push_back(globals.attributes); }

  std::string Render(const Block& block) {
    try {
      Execute(block);
    } catch (const Error& error) {
      if (std::string_view(error.what()).starts_with("line ")) throw;
      throw Error(error.code(), fmt::format("line {}: {}", line_, error.what()));
    }
    return std::move(out_);
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };

  void Charge(size_t weight) {
    steps_ += 1 + weight / kBytesPerStep;
    if (steps_ > kMaxSteps) {
      throw Error(ErrorCode::kInvalidArgument, "the template does not come to an end");
    }
  }

  void Print(std::string_view text) {
    CheckTextSize(out_.size() + text.size());
    out_ += text;
  }

  Flow Execute(const Block& block) {
    for (const Statement& statement : block) {
      Charge(0);
      line_ = statement.line;
      const Flow flow = ExecuteOne(statement);
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow ExecuteOne(const Statement& statement) {
    switch (statement.kind) {
      case StatementKind::kText:
        Print(statement.text);
        return Flow::kOn;
      case StatementKind::kPrint:
        Print(Evaluate(*statement.value).text());
        return Flow::kOn;
      case StatementKind::kIf:
        return ExecuteIf(statement);
      case StatementKind::kFor:
        return ExecuteFor(statement);
      case StatementKind::kSet:
        ExecuteSet(statement);
        return Flow::kOn;
      case StatementKind::kMacro:
        DefineMacro(statement);
        return Flow::kOn;
      case StatementKind::kBlock:
        return Execute(statement.branches[0].block);
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  Flow ExecuteIf(const Statement& statement) {
    for (const Statement::Branch& branch : statement.branches) {
      if (!branch.condition || Evaluate(*branch.condition).truth()) return Execute(branch.block);
    }
    return Flow::kOn;
  }

  void Assign(const Statement& statement, const Value& value) {
    const std::vector<std::string>& targets = statement.targets;
    if (targets.size() == 1) {
      scopes_.back().insert_or_assign(targets[0], value);
      return;
    }
    const List parts = Elements(value);
    if (parts.size() != targets.size()) {
      Fail(statement.line, fmt::format("{} names for {} values", targets.size(), parts.size()));
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      scopes_.back().insert_or_assign(targets[i], parts[i]);
    }
  }

  Flow ExecuteFor(const Statement& statement) {
    List elements = Elements(Evaluate(*statement.value));
    if (statement.condition) {
      scopes_.emplace_back();
      std::erase_if(elements, [&](const Value& element) {
        Assign(statement, element);
        return !Evaluate(*statement.condition).truth();
      });
      scopes_.pop_back();
    }
    if (elements.empty()) {
      return statement.branches.size() > 1 ? Execute(statement.branches[1].block) : Flow::kOn;
    }
    for (size_t i = 0; i < elements.size(); ++i) {
      Charge(kLoopSteps * kBytesPerStep + elements[i].weight());
      scopes_.emplace_back();
      scopes_.back().emplace("loop", LoopState(elements, i));
      Assign(statement, elements[i]);
      const Flow flow = Execute(statement.branches[0].block);
      scopes_.pop_back();
      if (flow == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  Value LoopState(const List& elements, size_t i) {
    const auto size = static_cast<int64_t>(elements.size());
    const auto index = static_cast<int64_t>(i);
    Dict loop;
    loop.Set("index0", index);
    loop.Set("index", index + 1);
    loop.Set("revindex0", size - index - 1);
    loop.Set("revindex", size - index);
    loop.Set("first", i == 0);
    loop.Set("last", index + 1 == size);
    loop.Set("length", size);
    if (i > 0) loop.Set("previtem", elements[i - 1]);
    if (index + 1 < size) loop.Set("nextitem", elements[i + 1]);
    return loop;
  }

  // The text that a block prints.
  std::string Capture(const Block& block) {
    std::string outer = std::exchange(out_, {});
    Execute(block);
    return std::exchange(out_, std::move(outer));
  }

  void ExecuteSet(const Statement& statement) {
    const Value value =
        statement.value ? Evaluate(*statement.value) : Capture(statement.branches[0].block);
    if (statement.attribute.empty()) return Assign(statement, value);
    Namespace* names = Lookup(statement.targets[0]).names();
    if (!names || value.names()) {
      Fail(statement.line, fmt::format("'{}' is no namespace, or would hold one",
                                       statement.targets[0].substr(0, 40)));
    }
    names->attributes.insert_or_assign(statement.attribute, value);
  }

  void DefineMacro(const Statement& statement) {
    // Neither the statement nor this object goes before the templates' end.
    const Function macro = [this, &statement](const Arguments& arguments) -> Value {
      return CallMacro(statement, arguments);
    };
    scopes_.back().insert_or_assign(statement.targets[0], Value(macro));
  }

  // A macro sees what stands at the top of the template, and its parameters.
  Value CallMacro(const Statement& macro, const Arguments& arguments) {
    if (calls_ >= kMaxCalls) Fail(macro.line, "macros call each other without end");
    if (arguments.positional.size() > macro.parameters.size()) {
      Fail(macro.line, "more values than the macro has parameters");
    }
    ++calls_;
    std::vector<Names> outer(std::make_move_iterator(scopes_.begin() + 1),
                             std::make_move_iterator(scopes_.end()));
    scopes_.resize(1);
    scopes_.emplace_back();
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      const auto& [name, fallback] = macro.parameters[i];
      const Value* given = arguments.Find(i, name);
      Value value = given ? *given : fallback ? Evaluate(*fallback) : Value(Undefined{name});
      scopes_[1].insert_or_assign(name, std::move(value));
    }
    std::string text = Capture(macro.branches[0].block);
    scopes_.resize(1);
    std::ranges::move(outer, std::back_inserter(scopes_));
    --calls_;
    return text;
  }

  Value Lookup(std::string_view name) const {
    for (size_t i = scopes_.size(); i-- > 0;) {
      if (const auto found = scopes_[i].find(name); found != scopes_[i].end()) return found->second;
    }
    return Undefined{std::string(name)};
  }

  Value Evaluate(const Expression& node) {
    Value value = Dispatch(node);
    Charge(value.string() ? value.weight() : 0);
    return value;
  }

  Value Dispatch(const Expression& node) {
    switch (node.kind) {
      case ExpressionKind::kLiteral:
        return node.literal;
      case ExpressionKind::kName:
        return Lookup(node.name);
      case ExpressionKind::kList:
        return EvaluateList(node);
      case ExpressionKind::kDict:
        return EvaluateDict(node);
      case ExpressionKind::kAttribute:
        return GetItem(Evaluate(*node.operands[0]), node.name);
      case ExpressionKind::kItem:
        return GetItem(Evaluate(*node.operands[0]), Evaluate(*node.operands[1]));
      case ExpressionKind::kSlice:
        return EvaluateSlice(node);
      case ExpressionKind::kCall:
        return EvaluateCall(node);
      case ExpressionKind::kFilter:
        return EvaluateFilter(node);
      case ExpressionKind::kTest:
        return EvaluateTest(node);
      case ExpressionKind::kUnary:
        return ApplyUnary(node.name, Evaluate(*node.operands[0]));
      case ExpressionKind::kBinary:
        return EvaluateBinary(node);
      case ExpressionKind::kConditional: {
        const size_t branch = Evaluate(*node.operands[0]).truth() ? 1 : 2;
        return node.operands[branch] ? Evaluate(*node.operands[branch]) : Value();
      }
    }
    return {};
  }

  Value EvaluateList(const Expression& node) {
    List list;
    for (const ExpressionPtr& element : node.operands) list.push_back(Evaluate(*element));
    return list;
  }

  Value EvaluateDict(const Expression& node) {
    Dict dict;
    for (size_t i = 0; i < node.operands.size(); i += 2) {
      const Value key = Evaluate(*node.operands[i]);
      if (!key.string()) Fail(node.line, "keys of dictionaries must be texts");
      dict.Set(*key.string(), Evaluate(*node.operands[i + 1]));
    }
    return dict;
  }

  Value EvaluateSlice(const Expression& node) {
    const auto bound = [&](size_t i) -> std::optional<int64_t> {
      if (!node.operands[i]) return std::nullopt;
      const Value value = Evaluate(*node.operands[i]);
      if (value.is_none()) return std::nullopt;
      return value.integer();
    };
    const Value sliced = Evaluate(*node.operands[0]);
    Charge(sliced.weight());
    return Slice(sliced, bound(1), bound(2), bound(3));
  }

  Arguments EvaluateArguments(const Expression& node) {
    Arguments arguments;
    for (size_t i = 1; i < node.operands.size(); ++i) {
      arguments.positional.push_back(Evaluate(*node.operands[i]));
    }
    for (const auto& [name, value] : node.named)
      arguments.named.emplace_back(name, Evaluate(*value));
    return arguments;
  }

  Value EvaluateCall(const Expression& node) {
    const Expression& callee = *node.operands[0];
    Value function;
    if (callee.kind == ExpressionKind::kAttribute) {
      const Value object = Evaluate(*callee.operands[0]);
      Charge(object.weight());
      if (auto result = CallMethod(object, callee.name, EvaluateArguments(node))) return *result;
      function = GetItem(object, callee.name);
    } else {
      function = Evaluate(callee);
    }
    if (!function.function()) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("'{}' is {}, not a function or a method that is supported",
                              callee.name.substr(0, 40), function.description()));
    }
    return (*function.function())(EvaluateArguments(node));
  }

  Value EvaluateFilter(const Expression& node) {
    const Value value = Evaluate(*node.operands[0]);
    Charge(value.weight());
    return ApplyFilter(node.name, value, EvaluateArguments(node));
  }

  Value EvaluateTest(const Expression& node) {
    const Value value = Evaluate(*node.operands[0]);
    return ApplyTest(node.name, value, EvaluateArguments(node));
  }

  Value EvaluateBinary(const Expression& node) {
    Value left = Evaluate(*node.operands[0]);
    if (node.name == "and") return left.truth() ? Evaluate(*node.operands[1]) : left;
    if (node.name == "or") return left.truth() ? left : Evaluate(*node.operands[1]);
    const Value right = Evaluate(*node.operands[1]);
    Charge(left.weight() + right.weight());
    return ApplyBinary(node.name, left, right);
  }

  std::vector<Names> scopes_;  // outermost first
  std::string out_;
  size_t steps_ = 0;
  size_t line_ = 1;  // of the statement that runs
  int calls_ = 0;
};

}  // namespace

std::string Run(const Block& block, const Namespace& globals) {
  return Interpreter(globals).Render(block);
}

}  // namespace crossover::tokenizer::jinja

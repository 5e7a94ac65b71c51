#include "tokenizer/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tokenizer/jinja/arithmetic.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/lexer.h"
#include "tokenizer/jinja/scopes.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

constexpr size_t kLoopSteps = 4;  // of one time around, beside what is done in it
constexpr int kMaxCalls = 20;

class Interpreter {
 public:
  Interpreter(Budget& budget, const Namespace& globals)
      : budget_(budget), globals_(globals), scopes_(budget), out_(budget) {}

  std::string Render(const Block& block) {
    try {
      Execute(block);
    } catch (const Error& error) {
      const bool has_line = std::string_view(error.what()).starts_with("line ");
      if (has_line || error.code() == ErrorCode::kInterrupted) throw;
      throw Error(error.code(), fmt::format("line {}: {}", line_, error.what()));
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::kOutOfMemory,
                  fmt::format("line {}: there is not enough memory for it", line_));
    } catch (const std::exception&) {
      // Whatever it is, its words are the library's, and nobody's who reads templates.
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("line {}: an operation that is not supported", line_));
    }
    return out_.Take();
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };

  Flow Execute(const Block& block) {
    budget_.CheckStack();
    for (const Statement& statement : block) {
      budget_.Work(1);
      line_ = statement.line;
      const Flow flow = ExecuteOne(statement);
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow ExecuteOne(const Statement& statement) {
    switch (statement.kind) {
      case StatementKind::kText:
        out_.Add(statement.text);
        return Flow::kOn;
      case StatementKind::kPrint:
        out_.Add(*Evaluate(*statement.value).AsText(budget_).string());
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
    if (targets.size() == 1) return scopes_.Set(targets[0], value);
    Walk parts(budget_, value);
    if (parts.size() != targets.size()) {
      Fail(statement.line, fmt::format("{} names for {} values", targets.size(), parts.size()));
    }
    for (const std::string& target : targets) scopes_.Set(target, parts.Next());
  }

  // The elements for which a loop's own condition holds.
  Value Chosen(const Statement& statement, const Value& source) {
    ListBuilder chosen(budget_);
    scopes_.Push();
    for (Walk walk(budget_, source); !walk.AtEnd();) {
      Value element = walk.Next();
      Assign(statement, element);
      if (Evaluate(*statement.condition).truth()) chosen.Add(std::move(element));
    }
    scopes_.Pop();
    return chosen.Finish();
  }

  Flow ExecuteFor(const Statement& statement) {
    Value source = Evaluate(*statement.value);
    if (statement.condition) source = Chosen(statement, source);
    Walk walk(budget_, std::move(source));
    if (walk.AtEnd()) {
      return statement.branches.size() > 1 ? Execute(statement.branches[1].block) : Flow::kOn;
    }
    const auto loop = std::make_shared<Loop>();
    loop->size = walk.size();
    loop->next = walk.Next();
    for (; loop->index < loop->size; ++loop->index) {
      budget_.Work(kLoopSteps);
      loop->previous = std::exchange(loop->current, loop->next);
      loop->next = walk.AtEnd() ? Value() : walk.Next();
      scopes_.Push();
      scopes_.Set("loop", Value(loop));
      Assign(statement, loop->current);
      const Flow flow = Execute(statement.branches[0].block);
      scopes_.Pop();
      if (flow == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  // The text that a block prints.
  Value Capture(const Block& block) {
    TextBuilder outer = std::exchange(out_, TextBuilder(budget_));
    Execute(block);
    return std::exchange(out_, std::move(outer)).Finish();
  }

  void ExecuteSet(const Statement& statement) {
    const Value value =
        statement.value ? Evaluate(*statement.value) : Capture(statement.branches[0].block);
    if (statement.attribute.empty()) return Assign(statement, value);
    Namespace* names = Lookup(statement.targets[0]).names();
    if (!names) {
      Fail(statement.line, fmt::format("'{}' is no namespace", Shortened(statement.targets[0])));
    }
    names->Set(statement.attribute, value);
  }

  void DefineMacro(const Statement& statement) {
    // Neither the statement nor this object goes before the templates' end.
    const Function macro = [this, &statement](Budget&, const Arguments& arguments) -> Value {
      return CallMacro(statement, arguments);
    };
    scopes_.Set(statement.targets[0], Value(macro));
  }

  static void CheckArguments(const Statement& macro, const Arguments& arguments) {
    const std::string name = Shortened(macro.targets[0]);
    if (arguments.positional.size() > macro.parameters.size()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: {} arguments for the {} parameters of the macro", name,
                              arguments.positional.size(), macro.parameters.size()));
    }
    for (const auto& [key, unused] : arguments.named) {
      const auto at = std::ranges::find(macro.parameters, key, &Statement::Parameter::name);
      const auto place = static_cast<size_t>(at - macro.parameters.begin());
      if (place < arguments.positional.size() || at == macro.parameters.end()) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("{}: the argument '{}' is {}", name, Shortened(key),
                                at == macro.parameters.end() ? "none of the macro's parameters"
                                                             : "given twice"));
      }
    }
  }

  // A macro sees what stands at the top of the template, and its parameters.
  Value CallMacro(const Statement& macro, const Arguments& arguments) {
    if (calls_ >= kMaxCalls) {
      throw Error(ErrorCode::kUnsupported, "macros call each other without end");
    }
    const size_t count = macro.parameters.size();
    budget_.Work(count * (arguments.named.size() + 1));
    CheckArguments(macro, arguments);
    ++calls_;
    const Scopes::Hidden hidden(scopes_);
    for (size_t i = 0; i < count; ++i) {
      const auto& [name, fallback] = macro.parameters[i];
      const auto named =
          std::ranges::find(arguments.named, name, &std::pair<std::string, Value>::first);
      if (i < arguments.positional.size()) {
        scopes_.Set(name, arguments.positional[i]);
      } else if (named != arguments.named.end()) {
        scopes_.Set(name, named->second);
      } else {
        scopes_.Set(name,
                    fallback ? Evaluate(*fallback) : Value::Missing(Value::Text(budget_, name)));
      }
    }
    Value text = Capture(macro.branches[0].block);
    --calls_;
    return text;
  }

  Value Lookup(std::string_view name) const {
    if (const Value* value = scopes_.Find(name)) return *value;
    if (const Value* value = globals_.Find(name)) return *value;
    return {};
  }

  Value LookupName(const Expression& node) const {
    Value value = Lookup(node.name);
    return value.is_undefined() ? Value::Missing(node.literal) : value;
  }

  Value Evaluate(const Expression& node) {
    budget_.Work(1);
    budget_.CheckStack();
    return Dispatch(node);
  }

  Value Dispatch(const Expression& node) {
    switch (node.kind) {
      case ExpressionKind::kLiteral:
        return node.literal;
      case ExpressionKind::kName:
        return LookupName(node);
      case ExpressionKind::kList:
        return EvaluateList(node);
      case ExpressionKind::kDict:
        return EvaluateDict(node);
      case ExpressionKind::kAttribute:
        return EvaluateAttribute(node);
      case ExpressionKind::kItem:
        return EvaluateItem(node);
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

  // What Python has as methods is one even where an entry has the same name.
  Value EvaluateAttribute(const Expression& node) {
    const Value object = Evaluate(*node.operands[0]);
    if (HasMethod(object, node.name)) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("'{0}' of {1} is a method: write {0}(), or ['{0}'] for an entry",
                              node.name, object.description()));
    }
    return GetItem(budget_, object, node.literal);
  }

  Value EvaluateItem(const Expression& node) {
    const Value object = Evaluate(*node.operands[0]);
    return GetItem(budget_, object, Evaluate(*node.operands[1]));
  }

  Value EvaluateList(const Expression& node) {
    ListBuilder list(budget_);
    for (const ExpressionPtr& element : node.operands) list.Add(Evaluate(*element));
    return list.Finish();
  }

  Value EvaluateDict(const Expression& node) {
    DictBuilder dict(budget_);
    for (size_t i = 0; i < node.operands.size(); i += 2) {
      const Value key = Evaluate(*node.operands[i]);
      dict.Set(key, Evaluate(*node.operands[i + 1]));
    }
    return dict.Finish();
  }

  Value EvaluateSlice(const Expression& node) {
    const auto bound = [&](size_t i) -> std::optional<int64_t> {
      if (!node.operands[i]) return std::nullopt;
      const Value value = Evaluate(*node.operands[i]);
      if (value.is_none()) return std::nullopt;
      return value.integer();
    };
    const Value sliced = Evaluate(*node.operands[0]);
    return Slice(budget_, sliced, bound(1), bound(2), bound(3));
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
      if (HasMethod(object, callee.name)) {
        return CallMethod(budget_, object, callee.name, EvaluateArguments(node));
      }
      function = GetItem(budget_, object, callee.literal);
      if (!function.function()) {
        throw Error(ErrorCode::kUnsupported,
                    fmt::format("'{}' is no method of {} that is supported", Shortened(callee.name),
                                object.description()));
      }
    } else {
      function = Evaluate(callee);
    }
    if (!function.function()) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: a function that is supported is needed, not {}",
                              Shortened(callee.name), function.description()));
    }
    return (*function.function())(budget_, EvaluateArguments(node));
  }

  Value EvaluateFilter(const Expression& node) {
    const Value value = Evaluate(*node.operands[0]);
    return ApplyFilter(budget_, node.name, value, EvaluateArguments(node));
  }

  Value EvaluateTest(const Expression& node) {
    const Value value = Evaluate(*node.operands[0]);
    return ApplyTest(budget_, node.name, value, EvaluateArguments(node));
  }

  Value EvaluateBinary(const Expression& node) {
    Value left = Evaluate(*node.operands[0]);
    if (node.name == "and") return left.truth() ? Evaluate(*node.operands[1]) : left;
    if (node.name == "or") return left.truth() ? left : Evaluate(*node.operands[1]);
    const Value right = Evaluate(*node.operands[1]);
    return ApplyBinary(budget_, node.name, left, right);
  }

  Budget& budget_;
  const Namespace& globals_;
  Scopes scopes_;
  TextBuilder out_;
  size_t line_ = 1;  // of the statement that runs
  int calls_ = 0;
};

}  // namespace

std::string Run(Budget& budget, const Block& block, const Namespace& globals) {
  return Interpreter(budget, globals).Render(block);
}

}  // namespace crossover::tokenizer::jinja

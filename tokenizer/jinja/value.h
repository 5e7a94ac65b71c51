// The values of the template language. They behave as Python's do, as far as chat templates rely
// on it: text is counted in characters, True prints as "True", missing names are undefined.
// Texts, lists and dictionaries never change once they are made, and copies of a value share them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tokenizer/jinja/budget.h"

namespace crossover::tokenizer::jinja {

class Value;
class Dict;
class Namespace;
struct Arguments;
struct Loop;

/// How deep lists and dictionaries nest. Enough for any conversation, and bearable for the stack of
/// what walks through them or takes them down.
inline constexpr int kMaxDepth = 64;

using List = std::vector<Value>;
using Function = std::function<Value(Budget&, const Arguments&)>;

class Value {
  struct TextNode;
  struct ListNode;
  struct DictNode;
  using TextPtr = std::shared_ptr<const TextNode>;

  /// What a name or key leads to that is not there: false, empty and "" where it is only looked
  /// at, an error where something is wanted of it.
  struct Undefined {
    TextPtr name;
  };

 public:
  // NOLINTBEGIN(google-explicit-constructor): what C++ has becomes what a template has.
  Value() : data_(Undefined{}) {}
  Value(std::nullptr_t) : data_(nullptr) {}
  Value(bool b) : data_(b) {}
  Value(int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::shared_ptr<Namespace> names) : data_(std::move(names)) {}
  Value(std::shared_ptr<Loop> loop) : data_(std::move(loop)) {}
  Value(Function function) : data_(std::make_shared<const Function>(std::move(function))) {}
  // NOLINTEND(google-explicit-constructor)
  Value(const void*) = delete;  // which would become a truth value

  /// A copy of a text.
  static Value Text(Budget& budget, std::string_view text);
  /// A text of the template's source: that has a limit of its own, and outlives all budgets.
  static Value Literal(std::string text);
  /// An undefined value for messages to call by this name, which is a text.
  static Value Missing(const Value& name);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const std::string* string() const;
  const List* list() const;
  const Dict* dict() const;
  Namespace* names() const;
  const Loop* loop() const;
  const Function* function() const;
  /// Numbers and, as in Python, truth values.
  bool is_number() const;
  /// Error(kInvalidArgument) for what is no number.
  double number() const;
  /// Of integers and truth values; Error(kInvalidArgument) of anything else.
  int64_t integer() const;

  bool truth() const;
  /// How deep lists and dictionaries nest here; 0 for what is neither.
  int depth() const;
  /// Whether other values can be put into it later: a namespace, or a loop's state. Nothing that
  /// can be part of a tree, which would make it a ring.
  bool is_mutable() const { return names() != nullptr || loop() != nullptr; }
  /// As `{{ value }}` prints it; Error(kUnsupported) for what templates do not print.
  Value AsText(Budget& budget) const;
  /// "a list", "text", "undefined 'name'" for messages; never long.
  std::string description() const;

  /// The very same function, namespace or state of a loop; never so of what has a content.
  bool IsSame(const Value& other) const;

 private:
  friend class TextBuilder;
  friend class ListBuilder;
  friend class DictBuilder;

  template <typename Pointer>
  const auto* Node() const {
    const auto* pointer = std::get_if<Pointer>(&data_);
    return pointer ? pointer->get() : nullptr;
  }

  std::variant<Undefined, std::nullptr_t, bool, int64_t, double, TextPtr,
               std::shared_ptr<const ListNode>, std::shared_ptr<const DictNode>,
               std::shared_ptr<Namespace>, std::shared_ptr<Loop>, std::shared_ptr<const Function>>
      data_;
};

/// Keys, which are texts, in the order in which they came.
class Dict {
 public:
  struct Entry {
    Value key;
    Value value;
  };
  /// Null if there is none.
  const Value* Find(Budget& budget, std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  friend class DictBuilder;
  static constexpr size_t kMostWithoutIndex = 8;
  static constexpr size_t kNone = static_cast<size_t>(-1);

  size_t Place(Budget& budget, std::string_view key) const;  // kNone if there is none

  std::vector<Entry> entries_;
  // Of more than a few entries. A tree, since keys come from files: no choice of them makes it
  // slow, as one could with a hash table.
  std::map<std::string_view, size_t> index_;
};

/// The one mutable object of the language: `set ns.name = …` reaches it from inside a loop.
class Namespace {
 public:
  explicit Namespace(Budget& budget) : memory_(budget) {}
  /// Error(kUnsupported) for a value that could hold this namespace.
  void Set(std::string_view name, Value value);
  const Value* Find(std::string_view name) const;

 private:
  std::map<std::string, Value, std::less<>> attributes_;
  Reservation memory_;
};

/// Where a `for` stands; templates call it `loop`.
struct Loop {
  size_t index = 0;  // from 0
  size_t size = 0;
  Value previous, current, next;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Makes a text.
class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : budget_(&budget), memory_(budget) {}
  /// Error(kInvalidArgument) if it gets too long, as all of these.
  void Add(std::string_view text);
  void Add(char c) { Add(std::string_view(&c, 1)); }
  void Fill(char c, size_t count);
  Value Finish();
  std::string Take() { return std::move(text_); }

 private:
  void Reserve(size_t added);

  Budget* budget_;
  Reservation memory_;
  std::string text_;
};

/// Makes a list.
class ListBuilder {
 public:
  explicit ListBuilder(Budget& budget) : budget_(&budget), memory_(budget) {}
  /// Error(kUnsupported) if they nest deeper than kMaxDepth, or for what is mutable.
  void Add(Value element);
  Value Finish();

 private:
  Budget* budget_;
  Reservation memory_;
  List list_;
  int depth_ = 1;
};

/// Makes a dictionary.
class DictBuilder {
 public:
  explicit DictBuilder(Budget& budget) : budget_(&budget), memory_(budget) {}
  /// Errors as of ListBuilder, and Error(kUnsupported) for a key that is no text. A key that is
  /// there gets the new value.
  void Set(const Value& key, Value value);
  Value Finish();

 private:
  Budget* budget_;
  Reservation memory_;
  Dict dict_;
  int depth_ = 1;
};

/// Goes over what a loop goes over: elements, keys, characters; nothing for an undefined value.
class Walk {
 public:
  /// Error(kInvalidArgument) for what is none of these.
  Walk(Budget& budget, Value over);
  size_t size() const { return size_; }
  bool AtEnd() const { return at_ == size_; }
  /// Not at the end.
  Value Next();

 private:
  Budget* budget_;
  Value over_;
  size_t size_ = 0;
  size_t at_ = 0;
  size_t byte_ = 0;  // of a text, where the next character begins
};

}  // namespace crossover::tokenizer::jinja

// The values of the template language. They behave as Python's do, as far as chat templates rely
// on it: text is counted in characters, True prints as "True", missing names are undefined.
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

namespace crossover::tokenizer::jinja {

class Value;

/// Enough for any conversation, and bearable for the stack and the memory.
inline constexpr int kMaxDepth = 64;
inline constexpr size_t kMaxWeight = size_t{32} << 20;

using List = std::vector<Value>;

/// What a name or key leads to that is not there: false, empty and "" where it is only looked at,
/// an error where something is wanted of it.
struct Undefined {
  std::string name;
};

/// Keys in the order in which they came.
class Dict {
 public:
  const Value* Find(std::string_view key) const;
  void Set(std::string_view key, Value value);
  const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, Value>> entries_;
};

/// The one mutable object of the language: `set ns.name = …` reaches it from inside a loop.
struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// By position or by name; null if it was not given.
  const Value* Find(size_t position, std::string_view name) const;
};

using Function = std::function<Value(const Arguments&)>;

class Value {
 public:
  // NOLINTBEGIN(google-explicit-constructor): what C++ has becomes what a template has.
  Value() : data_(Undefined{}) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(std::nullptr_t) : data_(nullptr) {}
  Value(bool b) : data_(b) {}
  Value(int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::string s) : data_(std::move(s)) {}
  Value(std::string_view s) : data_(std::string(s)) {}
  Value(const char* s) : data_(std::string(s)) {}
  /// Error(kUnsupported) if they nest deeper than kMaxDepth, weigh more than kMaxWeight, or hold a
  /// namespace (which could hold them).
  Value(List list);
  Value(Dict dict);
  Value(std::shared_ptr<Namespace> names) : data_(std::move(names)) {}
  Value(Function function) : data_(std::make_shared<const Function>(std::move(function))) {}
  // NOLINTEND(google-explicit-constructor)

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const std::string* string() const { return std::get_if<std::string>(&data_); }
  const List* list() const;
  const Dict* dict() const;
  Namespace* names() const;
  const Function* function() const;
  /// Numbers and, as in Python, truth values.
  bool is_number() const;
  double number() const;
  /// Of integers and truth values; Error(kInvalidArgument) of anything else.
  int64_t integer() const;

  /// What it costs to walk through it, about its bytes. Parts that it holds twice count twice.
  size_t weight() const;
  bool truth() const;
  /// As `{{ value }}` prints it; Error(kUnsupported) for what templates do not print.
  std::string text() const;
  /// "a list", "text", "an undefined value ('name')" for messages.
  std::string description() const;

  friend bool operator==(const Value& a, const Value& b);
  /// Numbers or texts; Error(kInvalidArgument) for others.
  friend bool operator<(const Value& a, const Value& b);

 private:
  template <typename Container>
  struct Tree {
    Container content;
    int depth = 1;
    size_t weight = 1;
    void Add(const Value& element);
  };

  std::variant<Undefined, std::nullptr_t, bool, int64_t, double, std::string,
               std::shared_ptr<const Tree<List>>, std::shared_ptr<const Tree<Dict>>,
               std::shared_ptr<Namespace>, std::shared_ptr<const Function>>
      data_;
};

/// What a loop goes over: elements, keys, characters; nothing for an undefined value.
/// Error(kInvalidArgument) for what is none of these.
List Elements(const Value& value);

/// `needle in haystack`.
bool Contains(const Value& haystack, const Value& needle);

/// As Python's json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: in one line.
std::string ToJson(const Value& value, int indent);

}  // namespace crossover::tokenizer::jinja

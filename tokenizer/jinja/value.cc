#include "tokenizer/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

// What a value on the heap takes besides its content: counters, reservation, the allocator's part.
constexpr size_t kNodeBytes = 112;
constexpr size_t kMapNodeBytes = 80;

[[noreturn]] void Mismatch(std::string_view wanted, const Value& got) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} is needed, not {}", wanted, got.description()));
}

std::string FloatText(double d) {
  std::string text = fmt::format("{}", d);
  // Python's repr of a whole float.
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

// Room for one more, of which the budget knows. While it grows, both the old and the new are there.
// `beside`: bytes in use that `memory` has to hold as well.
template <typename T>
void Grow(Budget& budget, Reservation& memory, std::vector<T>& elements, size_t beside = 0) {
  if (elements.size() < elements.capacity()) return;
  const size_t capacity = std::max<size_t>(4, elements.capacity() * 2);
  Reservation grown(budget, capacity * sizeof(T) + beside);
  elements.reserve(capacity);
  memory = std::move(grown);
}

// The depth of what holds such an element.
int DepthAround(const Value& element) {
  if (element.is_mutable()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} in a list or dictionary", element.description()));
  }
  const int depth = element.depth() + 1;
  if (depth > kMaxDepth) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("lists or dictionaries nest deeper than {}", kMaxDepth));
  }
  return depth;
}

}  // namespace

struct Value::TextNode {
  std::string content;
  Reservation memory;
};

struct Value::ListNode {
  List content;
  int depth;
  Reservation memory;
};

struct Value::DictNode {
  Dict content;
  int depth;
  Reservation memory;
};

Value Value::Text(Budget& budget, std::string_view text) {
  TextBuilder builder(budget);
  builder.Add(text);
  return builder.Finish();
}

Value Value::Literal(std::string text) {
  Value value;
  value.data_ = std::make_shared<const TextNode>(TextNode{std::move(text), Reservation()});
  return value;
}

Value Value::Missing(const Value& name) {
  Value value;
  if (const TextPtr* text = std::get_if<TextPtr>(&name.data_)) value.data_ = Undefined{*text};
  return value;
}

const std::string* Value::string() const {
  const auto* node = Node<TextPtr>();
  return node ? &node->content : nullptr;
}

const List* Value::list() const {
  const auto* node = Node<std::shared_ptr<const ListNode>>();
  return node ? &node->content : nullptr;
}

const Dict* Value::dict() const {
  const auto* node = Node<std::shared_ptr<const DictNode>>();
  return node ? &node->content : nullptr;
}

Namespace* Value::names() const {
  const auto* pointer = std::get_if<std::shared_ptr<Namespace>>(&data_);
  return pointer ? pointer->get() : nullptr;
}

const Loop* Value::loop() const { return Node<std::shared_ptr<Loop>>(); }

const Function* Value::function() const { return Node<std::shared_ptr<const Function>>(); }

bool Value::is_number() const {
  return is_integer() || boolean() || std::holds_alternative<double>(data_);
}

double Value::number() const {
  if (const double* d = std::get_if<double>(&data_)) return *d;
  if (!is_number()) Mismatch("a number", *this);
  return static_cast<double>(integer());
}

int64_t Value::integer() const {
  if (const int64_t* i = std::get_if<int64_t>(&data_)) return *i;
  if (const bool* b = boolean()) return *b ? 1 : 0;
  Mismatch("an integer", *this);
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  if (const std::string* s = string()) return !s->empty();
  if (const List* l = list()) return !l->empty();
  if (const Dict* d = dict()) return !d->entries().empty();
  return true;
}

int Value::depth() const {
  if (const auto* node = Node<std::shared_ptr<const ListNode>>()) return node->depth;
  if (const auto* node = Node<std::shared_ptr<const DictNode>>()) return node->depth;
  return 0;
}

Value Value::AsText(Budget& budget) const {
  if (string()) return *this;
  if (is_undefined()) return Text(budget, "");
  if (is_none()) return Text(budget, "None");
  if (const bool* b = boolean()) return Text(budget, *b ? "True" : "False");
  if (is_integer()) return Text(budget, std::to_string(integer()));
  if (is_number()) return Text(budget, FloatText(number()));
  throw Error(ErrorCode::kUnsupported, fmt::format("{} cannot be printed", description()));
}

std::string Value::description() const {
  if (const Undefined* u = std::get_if<Undefined>(&data_)) {
    return u->name ? fmt::format("undefined '{}'", Shortened(u->name->content))
                   : "an undefined value";
  }
  if (is_none()) return "none";
  if (boolean()) return "a truth value";
  if (is_number()) return "a number";
  if (string()) return "text";
  if (list()) return "a list";
  if (dict()) return "a dictionary";
  if (loop()) return "the state of a loop";
  return function() ? "a function" : "a namespace";
}

bool Value::IsSame(const Value& other) const {
  if (function()) return function() == other.function();
  if (names()) return names() == other.names();
  return loop() && loop() == other.loop();
}

size_t Dict::Place(Budget& budget, std::string_view key) const {
  if (index_.empty()) {
    budget.Copy(key.size() * entries_.size());
    const auto found =
        std::ranges::find_if(entries_, [&](const Entry& e) { return *e.key.string() == key; });
    return found == entries_.end() ? kNone : static_cast<size_t>(found - entries_.begin());
  }
  const auto levels = static_cast<size_t>(std::bit_width(index_.size()));
  budget.Work(levels / 4);
  budget.Copy(key.size() * levels * 2);
  const auto found = index_.find(key);
  return found == index_.end() ? kNone : found->second;
}

const Value* Dict::Find(Budget& budget, std::string_view key) const {
  const size_t place = Place(budget, key);
  return place == kNone ? nullptr : &entries_[place].value;
}

void Namespace::Set(std::string_view name, Value value) {
  if (value.is_mutable()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} in a namespace, where it could hold itself", value.description()));
  }
  const auto found = attributes_.find(name);
  if (found != attributes_.end()) {
    found->second = std::move(value);
    return;
  }
  memory_.Add(kMapNodeBytes + name.size());
  attributes_.emplace(name, std::move(value));
}

const Value* Namespace::Find(std::string_view name) const {
  const auto found = attributes_.find(name);
  return found == attributes_.end() ? nullptr : &found->second;
}

void TextBuilder::Reserve(size_t added) {
  const size_t size = text_.size() + added;
  budget_->CheckText(size);
  budget_->Copy(added);
  if (size <= text_.capacity()) return;
  const size_t capacity = std::max(size, text_.capacity() * 2);
  Reservation grown(*budget_, capacity);
  budget_->Copy(text_.size());
  text_.reserve(capacity);
  memory_ = std::move(grown);
}

void TextBuilder::Add(std::string_view text) {
  Reserve(text.size());
  text_ += text;
}

void TextBuilder::Fill(char c, size_t count) {
  budget_->CheckText(count);
  Reserve(count);
  text_.append(count, c);
}

Value TextBuilder::Finish() {
  budget_->Work(1);
  memory_.Add(kNodeBytes);
  Value value;
  value.data_ = std::make_shared<const Value::TextNode>(
      Value::TextNode{std::move(text_), std::move(memory_)});
  return value;
}

void ListBuilder::Add(Value element) {
  budget_->Work(1);
  depth_ = std::max(depth_, DepthAround(element));
  Grow(*budget_, memory_, list_);
  list_.push_back(std::move(element));
}

Value ListBuilder::Finish() {
  budget_->Work(1);
  memory_.Add(kNodeBytes);
  Value value;
  value.data_ = std::make_shared<const Value::ListNode>(
      Value::ListNode{std::move(list_), depth_, std::move(memory_)});
  return value;
}

void DictBuilder::Set(const Value& key, Value value) {
  budget_->Work(2);
  const std::string* name = key.string();
  if (name == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("keys of dictionaries must be texts, not {}", key.description()));
  }
  depth_ = std::max(depth_, DepthAround(value));
  auto& entries = dict_.entries_;
  if (const size_t place = dict_.Place(*budget_, *name); place != Dict::kNone) {
    entries[place].value = std::move(value);
    return;
  }
  // The index has memory of its own, beside that of the entries.
  memory_.Add(kMapNodeBytes);
  Grow(*budget_, memory_, entries, (entries.size() + 1) * kMapNodeBytes);
  entries.push_back({key, std::move(value)});
  if (entries.size() <= Dict::kMostWithoutIndex) return;
  for (size_t i = dict_.index_.size(); i < entries.size(); ++i) {
    dict_.index_.emplace(*entries[i].key.string(), i);
  }
}

Value DictBuilder::Finish() {
  budget_->Work(1);
  memory_.Add(kNodeBytes);
  Value value;
  value.data_ = std::make_shared<const Value::DictNode>(
      Value::DictNode{std::move(dict_), depth_, std::move(memory_)});
  return value;
}

Walk::Walk(Budget& budget, Value over) : budget_(&budget), over_(std::move(over)) {
  if (const std::string* text = over_.string()) {
    size_ = CountCharacters(budget, *text);
  } else if (const List* list = over_.list()) {
    size_ = list->size();
  } else if (const Dict* dict = over_.dict()) {
    size_ = dict->entries().size();
  } else if (!over_.is_undefined()) {
    Mismatch("a list", over_);
  }
}

Value Walk::Next() {
  budget_->Work(1);
  const size_t i = at_++;
  if (const List* list = over_.list()) return (*list)[i];
  if (const Dict* dict = over_.dict()) return dict->entries()[i].key;
  const std::string_view character = CharacterAt(*over_.string(), byte_);
  byte_ += character.size();
  return Value::Text(*budget_, character);
}

}  // namespace crossover::tokenizer::jinja

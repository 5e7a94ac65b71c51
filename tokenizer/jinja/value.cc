#include "tokenizer/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

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

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", c);
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

void AppendJson(const Value& value, int indent, int level, std::string& out) {
  const auto new_line = [&](int depth) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(indent) * static_cast<size_t>(depth), ' ');
  };
  const auto sequence = [&](char open, char close, const auto& elements, const auto& append) {
    out += open;
    bool first = true;
    for (const auto& element : elements) {
      if (!first) out += indent < 0 ? ", " : ",";
      first = false;
      new_line(level + 1);
      append(element);
    }
    if (!first) new_line(level);
    out += close;
  };
  if (const List* list = value.list()) {
    sequence('[', ']', *list, [&](const Value& v) { AppendJson(v, indent, level + 1, out); });
  } else if (const Dict* dict = value.dict()) {
    sequence('{', '}', dict->entries(), [&](const auto& entry) {
      out += JsonString(entry.first) + ": ";
      AppendJson(entry.second, indent, level + 1, out);
    });
  } else if (const std::string* text = value.string()) {
    out += JsonString(*text);
  } else if (const bool* b = value.boolean()) {
    out += *b ? "true" : "false";
  } else if (value.is_none()) {
    out += "null";
  } else if (value.is_number()) {
    out += value.text();
  } else {
    Mismatch("something that JSON can express", value);
  }
}

}  // namespace

const Value* Dict::Find(std::string_view key) const {
  const auto found = std::ranges::find(entries_, key, &std::pair<std::string, Value>::first);
  return found == entries_.end() ? nullptr : &found->second;
}

void Dict::Set(std::string_view key, Value value) {
  const auto found = std::ranges::find(entries_, key, &std::pair<std::string, Value>::first);
  if (found == entries_.end()) {
    entries_.emplace_back(key, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

const Value* Arguments::Find(size_t position, std::string_view name) const {
  if (position < positional.size()) return &positional[position];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

template <typename Container>
void Value::Tree<Container>::Add(const Value& element) {
  int below = 0;
  if (const auto* list = std::get_if<std::shared_ptr<const Tree<List>>>(&element.data_)) {
    below = (*list)->depth;
  } else if (const auto* dict = std::get_if<std::shared_ptr<const Tree<Dict>>>(&element.data_)) {
    below = (*dict)->depth;
  }
  depth = std::max(depth, below + 1);
  weight += element.weight();
  if (element.names() || depth > kMaxDepth || weight > kMaxWeight) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} in a list or dictionary is too much for a template",
                            element.names() ? "a namespace" : "what was put"));
  }
}

Value::Value(List list) {
  auto tree = std::make_shared<Tree<List>>();
  for (const Value& element : list) tree->Add(element);
  tree->content = std::move(list);
  data_ = std::move(tree);
}

Value::Value(Dict dict) {
  auto tree = std::make_shared<Tree<Dict>>();
  for (const auto& [key, element] : dict.entries()) {
    tree->weight += key.size();
    tree->Add(element);
  }
  tree->content = std::move(dict);
  data_ = std::move(tree);
}

size_t Value::weight() const {
  if (const std::string* s = string()) return 1 + s->size();
  if (const auto* p = std::get_if<std::shared_ptr<const Tree<List>>>(&data_)) return (*p)->weight;
  if (const auto* p = std::get_if<std::shared_ptr<const Tree<Dict>>>(&data_)) return (*p)->weight;
  return 1;
}

const List* Value::list() const {
  const auto* p = std::get_if<std::shared_ptr<const Tree<List>>>(&data_);
  return p ? &(*p)->content : nullptr;
}

const Dict* Value::dict() const {
  const auto* p = std::get_if<std::shared_ptr<const Tree<Dict>>>(&data_);
  return p ? &(*p)->content : nullptr;
}

Namespace* Value::names() const {
  const auto* p = std::get_if<std::shared_ptr<Namespace>>(&data_);
  return p ? p->get() : nullptr;
}

const Function* Value::function() const {
  const auto* p = std::get_if<std::shared_ptr<const Function>>(&data_);
  return p ? p->get() : nullptr;
}

bool Value::is_number() const {
  return is_integer() || boolean() || std::holds_alternative<double>(data_);
}

double Value::number() const {
  if (const double* d = std::get_if<double>(&data_)) return *d;
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

std::string Value::text() const {
  if (const std::string* s = string()) return *s;
  if (is_undefined()) return {};
  if (is_none()) return "None";
  if (const bool* b = boolean()) return *b ? "True" : "False";
  if (is_integer()) return std::to_string(integer());
  if (is_number()) return FloatText(number());
  throw Error(ErrorCode::kUnsupported, fmt::format("{} cannot be printed", description()));
}

std::string Value::description() const {
  if (const Undefined* u = std::get_if<Undefined>(&data_)) {
    return u->name.empty() ? "an undefined value" : fmt::format("undefined '{}'", u->name);
  }
  if (is_none()) return "none";
  if (boolean()) return "a truth value";
  if (is_number()) return "a number";
  if (string()) return "text";
  if (list()) return "a list";
  if (dict()) return "a dictionary";
  return function() ? "a function" : "a namespace";
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.data_.index() != b.data_.index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (a.string()) return *a.string() == *b.string();
  if (a.list()) return *a.list() == *b.list();
  if (!a.dict()) return a.names() == b.names() && a.function() == b.function();
  const auto& entries = a.dict()->entries();
  return entries.size() == b.dict()->entries().size() &&
         std::ranges::all_of(entries, [&](const auto& entry) {
           const Value* other = b.dict()->Find(entry.first);
           return other && *other == entry.second;
         });
}

bool operator<(const Value& a, const Value& b) {
  // UTF-8 sorts as its characters do.
  if (a.string() && b.string()) return *a.string() < *b.string();
  if (!a.is_number() || !b.is_number()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} and {} have no order", a.description(), b.description()));
  }
  return a.number() < b.number();
}

List Elements(const Value& value) {
  if (value.is_undefined()) return {};
  if (const List* list = value.list()) return *list;
  List elements;
  if (const Dict* dict = value.dict()) {
    for (const auto& [key, unused] : dict->entries()) elements.emplace_back(key);
  } else if (const std::string* text = value.string()) {
    for (const std::string_view c : Characters(*text)) elements.emplace_back(c);
  } else {
    Mismatch("a list", value);
  }
  return elements;
}

bool Contains(const Value& haystack, const Value& needle) {
  if (const std::string* text = haystack.string()) {
    if (!needle.string()) Mismatch("text", needle);
    return text->find(*needle.string()) != std::string::npos;
  }
  if (const Dict* dict = haystack.dict()) {
    return needle.string() && dict->Find(*needle.string()) != nullptr;
  }
  const List elements = Elements(haystack);
  return std::ranges::find(elements, needle) != elements.end();
}

std::string ToJson(const Value& value, int indent) {
  std::string out;
  AppendJson(value, indent, 0, out);
  return out;
}

}  // namespace crossover::tokenizer::jinja

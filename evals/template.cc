#include "evals/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "evals/text_filter.h"

namespace crossover::evals {
namespace {

// A template that is written by hand stays far below. Together with the work that may go into one
// record's texts, it keeps small files from becoming gigabytes or hours.
constexpr size_t kMostTemplateBytes = size_t{1} << 15;
constexpr size_t kMostHoles = 256;             // and filters in them
constexpr size_t kMostWork = size_t{1} << 26;  // in bytes, about

[[noreturn]] void Fail(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); }

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

const Record* Step(const Record& at, const std::string& name) {
  if (at.is_object()) {
    const auto it = at.find(name);
    return it == at.end() ? nullptr : &*it;
  }
  size_t index = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data(), end, index);
  const bool is_index = parsed.ec == std::errc{} && parsed.ptr == end;
  return at.is_array() && is_index && index < at.size() ? &at[index] : nullptr;
}

std::string FieldText(const Record& value, std::string_view path) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return DumpJson(value);
  Fail(fmt::format("expected a text or number in the field \"{}\", found {}", path,
                   value.type_name()));
}

const Record& At(const Record& record, std::string_view path, RenderWork& work) {
  const Record* at = &record;
  for (const std::string& name : Split(path, '.')) {
    work.Add(at->size());  // an object's keys are looked through one by one
    at = Step(*at, name);
    if (at == nullptr) Fail(fmt::format("expected a field \"{}\"", path));
  }
  return *at;
}

}  // namespace

void RenderWork::Add(size_t bytes) {
  done_ += bytes;
  if (done_ <= kMostWork) return;
  Fail(fmt::format("more than {} bytes of text are made from one item", kMostWork));
}

const Record& At(const Record& record, std::string_view path) {
  RenderWork work;
  return At(record, path, work);
}

Template Template::Parse(std::string_view text) {
  if (text.size() > kMostTemplateBytes) {
    Fail(fmt::format("a template of {} bytes; the most is {}", text.size(), kMostTemplateBytes));
  }
  Template result;
  std::string plain;
  size_t holes = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && text.substr(i + 1).starts_with(c)) {
      plain += text[++i];
    } else if (c == '}') {
      Fail("a \"}\" without its \"{\"; write \"}}\" for a brace");
    } else if (c != '{') {
      plain += c;
    } else {
      const size_t end = text.find('}', i);
      if (end == std::string_view::npos)
        Fail("a \"{\" without its \"}\"; write \"{{\" for a brace");
      std::vector<std::string> words = Split(text.substr(i + 1, end - i - 1), '|');
      Hole hole{words[0], {words.begin() + 1, words.end()}};
      if (hole.path.empty()) Fail("\"{}\" names no field");
      holes += words.size();
      if (holes > kMostHoles) {
        Fail(fmt::format("more than {} fields and filters in a template", kMostHoles));
      }
      for (const std::string& filter : hole.filters) CheckFilter(filter);
      result.parts_.emplace_back(std::exchange(plain, {}));
      result.parts_.emplace_back(std::move(hole));
      i = end;
    }
  }
  result.parts_.emplace_back(std::move(plain));
  return result;
}

std::string Template::Render(const Record& record) const {
  RenderWork work;
  return Render(record, work);
}

std::string Template::Render(const Record& record, RenderWork& work) const {
  std::string text;
  for (const auto& part : parts_) {
    if (const auto* plain = std::get_if<std::string>(&part)) {
      work.Add(plain->size());
      text += *plain;
      continue;
    }
    const Hole& hole = std::get<Hole>(part);
    std::string value = FieldText(At(record, hole.path, work), hole.path);
    work.Add(value.size());
    for (const std::string& filter : hole.filters) {
      work.Add(value.size());
      try {
        value = ApplyFilter(filter, std::move(value));
      } catch (const Error& error) {
        Fail(fmt::format("{} of the field \"{}\"", error.what(), hole.path));
      }
    }
    text += value;
  }
  return text;
}

TemplateList TemplateList::Parse(const Record& json) {
  TemplateList list;
  if (json.is_array()) {
    for (const Record& text : json) {
      if (!text.is_string()) Fail("expected an array of templates (texts)");
      list.templates_.push_back(Template::Parse(text.get_ref<const std::string&>()));
    }
    if (list.empty()) Fail("expected at least one template in the array");
    return list;
  }
  const bool is_each = json.is_object() && json.size() == 2 && json.contains("each") &&
                       json.contains("text") && json["each"].is_string() &&
                       json["text"].is_string() && !json["each"].get<std::string>().empty();
  if (!is_each) Fail("expected an array of templates or {\"each\": field, \"text\": template}");
  list.path_ = json["each"].get<std::string>();
  list.templates_.push_back(Template::Parse(json["text"].get_ref<const std::string&>()));
  return list;
}

std::vector<std::string> TemplateList::Render(const Record& record) const {
  std::vector<std::string> texts;
  RenderWork work;
  if (path_.empty()) {
    for (const Template& text : templates_) texts.push_back(text.Render(record, work));
    return texts;
  }
  const Record& elements = At(record, path_);
  if (!elements.is_structured()) {
    Fail(fmt::format("expected an array or object in the field \"{}\"", path_));
  }
  for (const auto& [key, element] : elements.items()) {
    Record fields = element.is_object() ? element : Record::object();
    fields["key"] = key;
    if (!element.is_object()) fields["value"] = element;
    texts.push_back(templates_[0].Render(fields, work));
  }
  return texts;
}

}  // namespace crossover::evals

// Texts with holes that a record's fields fill.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "evals/data_file.h"

namespace crossover::evals {

/// What goes into the texts of one record, which a small template and a small record can make
/// large.
class RenderWork {
 public:
  /// Error(kInvalidArgument) where it is more than any item asks for.
  void Add(size_t bytes);

 private:
  size_t done_ = 0;
};

/// "Question: {question.stem|strip}\nAnswer:": a hole names a field (a path through objects and, by
/// number, arrays) and filters (evals/text_filter.h) applied from left to right. "{{" and "}}"
/// stand for braces.
class Template {
 public:
  Template() = default;
  /// Error(kInvalidArgument) says what is wrong with the template.
  static Template Parse(std::string_view text);

  /// Numbers and booleans fill a hole as JSON writes them. Error(kInvalidArgument) names a field
  /// that is absent or holds no single value, or a filter that cannot be applied, or says that the
  /// text grows beyond all bounds.
  std::string Render(const Record& record) const;
  std::string Render(const Record& record, RenderWork& work) const;
  bool empty() const { return parts_.empty(); }  // never parsed

 private:
  struct Hole {
    std::string path;
    std::vector<std::string> filters;
  };
  std::vector<std::variant<std::string, Hole>> parts_;
};

/// Several texts from a record.
class TemplateList {
 public:
  TemplateList() = default;
  /// Either an array of templates, or {"each": path, "text": template} (a text for each element of
  /// the array or object at `path`). In "text" the element's own fields are fields; {key} is its
  /// key or number and {value} the element itself where it is not an object.
  static TemplateList Parse(const Record& json);

  std::vector<std::string> Render(const Record& record) const;
  bool empty() const { return templates_.empty(); }

 private:
  std::vector<Template> templates_;  // exactly one if path_ is not empty
  std::string path_;
};

/// The value at a path such as "question.choices.0". Error(kInvalidArgument) if it is not there.
const Record& At(const Record& record, std::string_view path);

}  // namespace crossover::evals

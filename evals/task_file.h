// A task described by a small JSON file: where its data lies, how an item becomes a prompt and
// choices, and what is measured. docs/tasks.md says what a file may hold.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evals/data_file.h"
#include "evals/template.h"

namespace crossover::evals {

/// One form in which a data set is handed around.
struct DataSource {
  std::string file;  // relative to the data directory; may hold {member}
  DataFormat format;
  /// Fields that this form lacks, made from those it has.
  std::vector<std::pair<std::string, Template>> define;
};

enum class ExampleOrder {
  kSample,  // the harness's default: drawn anew for each item (evals/example_sampler.h)
  kFirst,   // the file's first ones
};

enum class HarnessMetric { kAcc, kAccNorm, kAccBytes, kPerplexity };

struct TaskMember {
  std::string name;   // MMLU's subject; empty for a task without members
  std::string group;  // MMLU's field
};

struct TaskFile {
  std::string name;
  std::vector<DataSource> items;     // the first whose file is there is read
  std::vector<DataSource> examples;  // few-shot examples; empty: there are none
  bool examples_are_items = false;   // examples are the other items
  ExampleOrder order = ExampleOrder::kSample;
  Template description;   // before everything
  TemplateList prompts;   // one for all choices, or one a choice
  TemplateList choices;   // one for all prompts, or one a prompt
  std::string delimiter;  // between prompt and choice, no part of the choice's length
  /// The right choices are those whose text in `labels` equals `answer`. Without labels there is
  /// one choice, which is right: an item is then correct if greedy decoding would say it.
  Template answer;
  TemplateList labels;
  bool mass = false;  // several are right: acc is their share of the probability of all choices
  std::vector<HarnessMetric> metrics;
  size_t published_count = 0;  // items of the published set; 0: not said
  std::vector<TaskMember> members;
};

/// Error(kInvalidArgument) names `source` and the key that is off.
TaskFile ParseTaskFile(std::string_view json, std::string_view source);

/// NAME is a path that ends in .json, a shipped task, or one of its members or groups
/// (mmlu_anatomy, mmlu_stem). Nothing if it is none of them.
std::optional<TaskFile> FindTaskFile(const std::string& name);

}  // namespace crossover::evals

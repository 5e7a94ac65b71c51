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
#include "evals/harness_metric.h"
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
  kSample,  // the harness's default: drawn afresh for each item (evals/example_sampler.h)
  kFirst,   // the file's first ones
};

/// What a model is asked for each item.
enum class RequestKind {
  kChoices,   // how likely each choice is after its prompt
  kGenerate,  // to go on with the prompt
  kRolling,   // how likely the whole text is, window by window
};

/// How an answer is read out of what was generated.
struct Extraction {
  std::string name;     // "strict-match"; "none" where nothing is extracted
  std::string pattern;  // a regular expression, \K drops what it matched so far; empty: all
  bool last = false;    // the last match rather than the first
};

struct GenerateSpec {
  std::vector<std::string> until;  // end the text; no part of it
  size_t max_tokens = 256;
  std::vector<Extraction> extractions;  // at least one
  /// For exact_match: what these match is taken out of both sides before they are compared.
  std::vector<std::string> ignored;
  bool ignore_case = false;
  /// For pass@1: the program to run, in which {generated} is what was extracted.
  Template program;
};

struct TaskMember {
  std::string name;   // MMLU's subject; empty for a task without members
  std::string group;  // MMLU's field
};

struct TaskFile {
  std::string name;
  std::string version;  // of the harness's task whose prompt and metrics these are; may be empty
  RequestKind kind = RequestKind::kChoices;
  std::vector<DataSource> items;     // the first whose file is there is read
  std::vector<DataSource> examples;  // few-shot examples; empty: there are none
  bool examples_are_items = false;   // examples are the other items
  ExampleOrder order = ExampleOrder::kSample;
  size_t fewshot = 0;     // examples where nothing else is said
  Template description;   // before everything
  TemplateList prompts;   // one for all choices, or one a choice
  TemplateList choices;   // one for all prompts, or one a prompt
  std::string delimiter;  // between prompt and choice, no part of the choice's length
  /// Generation: the right answer. Rolling: the text. `choices` holds it as the only one.
  GenerateSpec generate;
  Template counted;  // rolling: the text whose words and bytes count
  /// The right choices are those whose text in `labels` equals `answer`. Without labels there is
  /// one choice, which is right: an item is then correct if greedy decoding would say it.
  Template answer;
  TemplateList labels;
  bool mass = false;  // several are right: acc is their share of the probability of all choices
  std::vector<HarnessMetric> metrics;
  size_t published_count = 0;  // items of the published set; 0: not said
  std::vector<TaskMember> members;

  /// A figure of the task: a metric, and for generations what it is taken of.
  struct Column {
    HarnessMetric metric;
    size_t extraction = 0;  // index into generate.extractions
  };
  std::vector<Column> columns() const;
};

/// Error(kInvalidArgument) names `source` and the key that is off.
TaskFile ParseTaskFile(std::string_view json, std::string_view source);

/// NAME is a path that ends in .json, a shipped task, or one of its members or groups
/// (mmlu_anatomy, mmlu_stem). Nothing if it is none of them.
std::optional<TaskFile> FindTaskFile(const std::string& name);

}  // namespace crossover::evals

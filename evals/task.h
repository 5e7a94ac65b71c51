// Items of an accuracy task, read from a file of JSON lines.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace crossover::evals {

/// {"context": …, "choices": [… at least 2], "answer": index}: a choice continues the context as it
/// stands, leading space included.
struct MultipleChoiceItem {
  std::string context;
  std::vector<std::string> choices;
  size_t answer = 0;
};

/// {"prompt": …, "answer": one line}: the answer is what the model says up to the end of the line.
struct GenerationItem {
  std::string prompt;
  std::string answer;
};

struct Task {
  std::string name;
  std::variant<std::vector<MultipleChoiceItem>, std::vector<GenerationItem>> items;

  size_t size() const;
};

/// The shape is the first line's; blank lines are skipped. Error(kInvalidArgument) names `source`,
/// the line and what was expected; also for a file without items.
Task ParseTask(std::string_view name, std::string_view text, std::string_view source);

/// Reads DIRECTORY/NAME.jsonl. Error(kNotFound) lists the tasks that are there.
Task LoadTask(const std::filesystem::path& directory, std::string_view name);

/// The names for which LoadTask finds a file, sorted.
std::vector<std::string> ListTasks(const std::filesystem::path& directory);

}  // namespace crossover::evals

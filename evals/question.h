// Items of a task file, made into prompts and choices.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "evals/prompt_style.h"
#include "evals/task_file.h"

namespace crossover::evals {

/// Choice k continues prompt k; where there is one prompt or one choice it serves for all k. Where
/// the answer is generated, or a text is read whole, there is one choice: the answer, or the text.
struct Question {
  std::vector<std::string> prompts;
  std::vector<std::string> choices;  // without the delimiter
  std::vector<bool> right;           // of each k
  size_t line = 0;                   // where the item begins in its file
  Record fields = Record::object();  // the item, with what the task file defines

  size_t size() const { return right.size(); }
  const std::string& prompt(size_t k) const { return prompts[prompts.size() == 1 ? 0 : k]; }
  const std::string& choice(size_t k) const { return choices[choices.size() == 1 ? 0 : k]; }
  size_t answer() const;  // the first that is right
};

struct QuestionSet {
  std::string name;   // the task's, with the member's
  std::string group;  // empty: none
  std::vector<Question> questions;
  size_t available = 0;  // items in the file, of which `limit` were taken
  size_t fewshot = 0;    // examples before each
};

/// Reads the member's files under `directory` and makes a prompt of each of the first `limit`
/// (0: all) items, the task's description and answered examples, in the style given.
/// Error(kNotFound) names the files that are missing; Error(kInvalidArgument) the file, the line
/// and what was expected there.
QuestionSet LoadQuestions(const TaskFile& task, const TaskMember& member,
                          const std::filesystem::path& directory, size_t limit,
                          const PromptStyle& style);

}  // namespace crossover::evals

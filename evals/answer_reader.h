// How answers are read out of generated text and compared, as lm-evaluation-harness does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/regex.h"
#include "evals/task_file.h"

namespace crossover::evals {

/// What an extraction gives where its pattern is not found.
inline constexpr std::string_view kInvalidAnswer = "[invalid]";

/// The patterns of a task, compiled.
class AnswerReader {
 public:
  explicit AnswerReader(const GenerateSpec& spec);

  /// What extraction `index` finds in a text: its first or last match without white space at both
  /// ends, or kInvalidAnswer; the whole text where it has no pattern. Error(kInvalidArgument) for a
  /// pattern that would try without end.
  std::string Extract(size_t index, std::string_view generated) const;

  /// Whether both are the same text after the task's patterns (and case) are taken out of them.
  bool Same(std::string_view extracted, std::string_view target) const;

 private:
  std::string Plain(std::string_view text) const;

  const GenerateSpec& spec_;
  std::vector<Regex> extractions_;  // an unused one where there is no pattern
  std::vector<Regex> ignored_;
};

/// `pattern`, if it is a regular expression; Error(kInvalidArgument) says why not.
std::string CheckedPattern(const std::string& pattern);

}  // namespace crossover::evals

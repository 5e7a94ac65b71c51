// Answers kept on disk as they come, so that a run that was killed goes on where it was.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "base/line_journal.h"
#include "evals/answer.h"

namespace crossover::evals {

/// A file of JSON lines {"key", "log_likelihood", "greedy", "generated"}. A key names all that an
/// answer hangs on: the model and how it runs (`run`), and what was asked. So one file serves any
/// number of runs, models and tasks; what does not apply any more is not found.
class AnswerJournal {
 public:
  /// Error(kIo), also if another run has it open; Error(kCorruptFile) names a line that is none of
  /// this program's, unless it is the last and cut off.
  explicit AnswerJournal(const std::filesystem::path& path);

  /// What the next answers come from: the model file's identity and the settings that change bits.
  void SetRun(std::string run) { run_ = std::move(run); }

  std::string Key(const std::string& request) const;
  /// Null if there is none.
  const Answer* Find(const std::string& key) const;
  /// On the way to the disk when it returns: a kill does not lose it. Error(kIo).
  void Keep(const std::string& key, const Answer& answer);

 private:
  LineJournal lines_;
  std::string run_;
  std::map<std::string, Answer> answers_;  // no hash table, whose slots a file could aim at
};

}  // namespace crossover::evals

// A study of quality alone, whose figures are the same after every run: what is tried of a study
// that fails or is killed is held against them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {

class QualityStudy {
 public:
  /// Two cells of the smallest embedded model, in a folder of their own. Runs the study once: that
  /// is the undisturbed one. Throws std::runtime_error if it fails.
  QualityStudy();

  /// The call, to be made in directory().
  const std::vector<std::string>& words() const { return words_; }
  const std::filesystem::path& directory() const { return directory_.path(); }
  std::filesystem::path out() const { return directory_ / "out"; }

  /// Starts over, but for the machine's limits, which take seconds to measure and are not tried.
  void Reset() const;

  /// What is wrong with what a run left that may have ended anywhere: a line that is no record, a
  /// measurement with other figures, a file under a name that nobody knows. Empty if nothing is.
  std::string Fault() const;

  /// The same of a run that ended well: each cell is measured once, and nothing else is left.
  std::string FaultAtEnd() const;

  /// Files that a process was making: names as OutputFile's.
  size_t Unfinished() const;

 private:
  std::string FaultOfLine(const std::string& line, std::map<std::string, size_t>& measured) const;

  TemporaryDirectory directory_;
  std::vector<std::string> words_;
  std::string limits_;                              // a record that has them
  std::map<std::string, std::string> measurement_;  // of each cell
};

/// Whether a file's name is one that OutputFile gives to what is not whole yet.
bool IsUnfinished(const std::filesystem::path& path);

}  // namespace crossover::test

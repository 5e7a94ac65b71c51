// --seed: a number, or -1 for one that is drawn.
#pragma once

#include <cstdint>
#include <string>

#include "tools/flags.h"

namespace crossover::tools {

/// What stands behind --seed until the command runs.
class Seed {
 public:
  explicit Seed(uint64_t standard) : word_(std::to_string(standard)) {}

  /// Adds the flag; `what` describes it. Words that are neither a number below 2^64 nor -1 end in
  /// UsageError.
  Flag AddTo(const Subcommand& command, const std::string& what);

  /// The number; one is drawn for -1, and told on stderr so that the run can be repeated.
  uint64_t Take() const;

 private:
  std::string word_;
};

}  // namespace crossover::tools

// What tests of the command line share.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {

/// The words of a call behind the program's name.
using Words = std::vector<std::string>;

/// The text that the embedded models were not trained on.
inline std::string Heldout() { return (SourceRoot() / "models/heldout.txt").string(); }

/// For INFO: the call and what it said on stderr.
inline std::string Told(const Words& call, const ProcessResult& result) {
  return fmt::format("{}: {}", fmt::join(call, " "), result.err);
}

}  // namespace crossover::test

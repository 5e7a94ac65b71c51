// The inside of what shuts a generated program in: the steps from a forked child to the program.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <string>
#include <vector>

#include "evals/program.h"

namespace crossover::evals {

/// The user and group that a program takes itself for, and that root's programs are.
constexpr unsigned kNobody = 65534;

/// What stands in the program's root.
struct RootEntry {
  enum class Kind { kFolder, kLink, kFile } kind;  // kFile: devices too
  std::string source;                              // a path of the system; what a link points to
  std::string target;  // the path under the new root, before it becomes the root
};

/// All that the child needs. Made before the fork: behind it no memory may be asked for, as another
/// thread may have held the allocator's lock.
struct SandboxPlan {
  ProgramLimits limits;
  std::string python, driver;
  int nothing;          // /dev/null, the program's standard input
  int program, secret;  // what the driver reads: the text, and what only its last line may see
  int verdict, output, status;  // written by the driver, by the program, by refusals before it
  std::string user_map, group_map, directory_options;
  std::vector<RootEntry> root;
  std::vector<sock_filter> filter;
};

/// Descriptors of the driver (a Python program).
constexpr int kProgramDescriptor = 3, kSecretDescriptor = 4, kVerdictDescriptor = 5;

/// The system's folders with programs and libraries, and five devices: a list of what is there, so
/// that nothing needs to be hidden.
std::vector<RootEntry> SystemRoot();

/// In a child of fork(): becomes the program, in a process namespace that ends with it. A step that
/// the system refuses is written to `plan.status`, and nothing is run.
[[noreturn]] void RunInSandbox(SandboxPlan& plan);

}  // namespace crossover::evals

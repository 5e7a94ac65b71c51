// Processes that a test looks at from outside.
#pragma once

#include <sys/types.h>

#include <fstream>
#include <string>
#include <vector>

namespace crossover::test {

/// What the main thread of `parent` started and that still runs.
inline std::vector<pid_t> Children(pid_t parent) {
  const std::string pid = std::to_string(parent);
  std::ifstream in("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; in >> child;) children.push_back(child);
  return children;
}

}  // namespace crossover::test

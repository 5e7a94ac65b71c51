// Which of some flags a call gave, for what is said of those that have no effect.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>
#include <vector>

namespace crossover::tools {

/// Of `names`, which the command has, those that stand in the call.
inline std::vector<std::string> Given(const CLI::App& command,
                                      std::initializer_list<const char*> names) {
  std::vector<std::string> given;
  for (const char* name : names) {
    if (command.get_option(name)->count() > 0) given.emplace_back(name);
  }
  return given;
}

}  // namespace crossover::tools

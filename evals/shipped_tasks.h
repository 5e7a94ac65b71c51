// The task files of evals/tasks/, built into the program.
#pragma once

#include <span>
#include <string_view>

namespace crossover::evals {

struct ShippedTask {
  std::string_view name;  // the file's, without .json
  std::string_view json;
};

/// Sorted by name.
std::span<const ShippedTask> ShippedTasks();

}  // namespace crossover::evals
